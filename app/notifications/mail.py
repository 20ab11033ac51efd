"""One mail through the operator's mail server (SMTP, RFC 5321), by the standard library's client in a thread."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from urllib.parse import parse_qs, unquote, urlsplit

STEP_S = 10
LIMIT_S = 25
_BAD_URL = "SEATWISE_SMTP_URL must be smtp://user:password@host:587?starttls=true, or smtps:// with TLS from the start."


class MailRefused(Exception):
    """The server will never take this mail; its words are the message."""


class MailDelayed(Exception):
    """The server could not be reached or does not take the mail now; its words are the message."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. TLS is `none`, `starttls` (required then) or `tls`."""

    host: str
    port: int
    tls: str = "none"
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> MailServer:
        """`smtp://user:pass@host:587?starttls=true`. Raises ValueError, which never repeats the URL."""
        try:
            parts = urlsplit(url.strip())
            port, options = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(_BAD_URL) from None
        starttls = options.pop("starttls", ["false"])[-1].lower()
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or options or starttls not in {"true", "false"}:
            raise ValueError(_BAD_URL)
        plain = "starttls" if starttls == "true" else "none"
        return cls(
            host=parts.hostname,
            port=port or (465 if parts.scheme == "smtps" else 587 if starttls == "true" else 25),
            tls="tls" if parts.scheme == "smtps" else plain,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


def compose(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str,
    html: str,
    message_id: str,
    at: datetime,
    link: str | None,
    attachment: Attachment | None = None,
) -> EmailMessage:
    """A mail as text and HTML. It is the same, byte for byte, at each attempt but for its inner boundaries.

    link   where to look further; None where the service does not know its own address.
    Raises ValueError for an address that no header can hold.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"], message["Message-ID"] = format_datetime(at), message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text + (f"\n\n{link}\n" if link else "\n"))
    more = f'\n<p><a href="{escape(link)}">{escape(link)}</a></p>' if link else ""
    head = f'<meta charset="utf-8"><title>{escape(subject)}</title>'
    message.add_alternative(
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{html}{more}\n</body></html>\n', subtype="html"
    )
    if attachment is not None:
        # Bytes go as base64, so a line of the file may be as long as it likes.
        main, _, sub = attachment.media_type.partition(";")[0].partition("/")
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.name)
    return message


async def send(server: MailServer, message: EmailMessage, *, limit_s: float = LIMIT_S) -> None:
    """Hand in one mail within so many seconds. Raises MailRefused, MailDelayed.

    Cancelled or too slow, it leaves no thread waiting.
    """
    call = _Call()
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.to_thread(call.run, server, message)
    except TimeoutError as error:
        call.cut()
        raise MailDelayed(f"The mail server took longer than {limit_s:.0f} s.") from error
    except asyncio.CancelledError:
        call.cut()
        raise


@dataclass(slots=True)
class _Call:
    """One conversation with the server, which can be cut short from outside its thread."""

    client: smtplib.SMTP | None = None

    def run(self, server: MailServer, message: EmailMessage) -> None:
        self.client = _reached(server)
        try:
            self._hand_in(message)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                self.client.quit()

    def _hand_in(self, message: EmailMessage) -> None:
        if self.client is None:
            raise MailDelayed("There is no conversation with the mail server.")
        try:
            self.client.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            _raise(code, words)
        except smtplib.SMTPResponseException as error:
            _raise(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPNotSupportedError, UnicodeError, ValueError) as error:
            raise MailRefused(_reason(error)) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailDelayed(f"The mail server broke off: {_reason(error)}") from error

    def cut(self) -> None:
        """Wake a thread that waits for the server."""
        connected = self.client.sock if self.client is not None else None
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


async def try_server(server: MailServer) -> None:
    """Come as far as the login and leave again. Raises MailDelayed."""

    def knock() -> None:
        with suppress(OSError, smtplib.SMTPException):
            _reached(server).quit()

    await asyncio.to_thread(knock)


def _reached(server: MailServer) -> smtplib.SMTP:
    """Raises MailDelayed."""
    try:
        return _connect(server)
    except smtplib.SMTPResponseException as error:
        raise MailDelayed(_words(error)) from error
    except (OSError, smtplib.SMTPException) as error:
        raise MailDelayed(f"The mail server cannot be reached: {_reason(error)}") from error


def _connect(server: MailServer) -> smtplib.SMTP:
    """A conversation that has come as far as the login. What the server says against that may pass."""
    context = ssl.create_default_context()
    client: smtplib.SMTP
    if server.tls == "tls":
        client = smtplib.SMTP_SSL(server.host, server.port, timeout=STEP_S, context=context)
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=STEP_S)
    try:
        if server.tls == "starttls":
            client.starttls(context=context)
        if server.user is not None:
            client.login(server.user, server.password or "")
    except BaseException:
        client.close()
        raise
    return client


def _raise(code: int, words: bytes | str) -> None:
    told = f"{code} {_text(words)}"[:300]
    raise (MailRefused if code >= 500 else MailDelayed)(told)


def _words(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"[:300]


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
