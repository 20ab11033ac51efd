"""A mail server on loopback that keeps what it is handed: as much of SMTP (RFC 5321) as the service speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from app.core.errors import SeatwiseError

HOST = "127.0.0.1"
PATIENCE_S = 20.0
_ANSWERS = {
    b"EHLO": b"250 seatwise-demo",
    b"HELO": b"250 seatwise-demo",
    b"MAIL": b"250 OK",
    b"RCPT": b"250 OK",
    b"RSET": b"250 OK",
    b"NOOP": b"250 OK",
}


@dataclass(frozen=True, slots=True)
class Mail:
    to: str
    subject: str
    text: str


@dataclass(slots=True)
class Mailbox:
    """url: as SEATWISE_SMTP_URL takes it."""

    url: str = ""
    _mails: asyncio.Queue[Mail] = field(default_factory=asyncio.Queue)

    async def next(self) -> Mail:
        """The oldest mail that was not taken yet. Raises SeatwiseError where none comes."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._mails.get()
        except TimeoutError:
            raise SeatwiseError(f"No mail came within {PATIENCE_S:.0f} s.") from None

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's conversation, to its end."""
        try:
            writer.write(b"220 seatwise-demo\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"QUIT":
                    writer.write(b"221 Bye\r\n")
                    break
                if verb == b"DATA":
                    writer.write(b"354 Go on\r\n")
                    self._mails.put_nowait(_read(await _content(reader)))
                    writer.write(b"250 OK\r\n")
                else:
                    writer.write(_ANSWERS.get(verb, b"502 Not here") + b"\r\n")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server for the time of the block, at a port of the system's choice."""
    box = Mailbox()
    server = await asyncio.start_server(box.converse, HOST, 0)
    async with server:
        box.url = f"smtp://{HOST}:{server.sockets[0].getsockname()[1]}"
        yield box


async def _content(reader: asyncio.StreamReader) -> bytes:
    """The lines up to the single dot, without the dots that were put before others (section 4.5.2), ended by LF."""
    lines = []
    while (line := await reader.readuntil(b"\n")) != b".\r\n":
        lines.append(line.removeprefix(b".").removesuffix(b"\r\n") + b"\n")
    return b"".join(lines)


def _read(content: bytes) -> Mail:
    message = message_from_bytes(content, _class=EmailMessage, policy=default)
    body = message.get_body(("plain",))
    return Mail(str(message["To"]), str(message["Subject"]), "" if body is None else body.get_content())
