"""`seatwise demo --keep` as a process of its own, with a secret of its own at each place where the demo has one.

What the demo's secrets are, and all that its vendors, its receiver, its mail server and its client hear, goes to the
file named on the command line, one JSON object a line. Nothing is changed of what the service does.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.demo import mailbox, service
from app.demo.vendors import ironclad, loopback, okta, pingone, sailpoint
from app.demo.vendors.tokens import TokenBook

WORLD: dict[str, Any] = {"people": 20, "applications": 4, "days": 35, "activity": 1.0}
# What the demo's vendors know their client by, each with how the search names it.
PLANTED = (
    (okta, "API_TOKEN", "Okta's API token"),
    (pingone, "CLIENT_SECRET", "PingOne's client secret"),
    (ironclad, "CLIENT_ID", "Clickwrap's client id"),
    (ironclad, "CLIENT_SECRET", "Clickwrap's client secret"),
    (ironclad, "ACCESS_TOKEN", "Clickwrap's first access token"),
    (sailpoint, "CLIENT_ID", "SailPoint's client id"),
    (sailpoint, "CLIENT_SECRET", "SailPoint's client secret"),
    (sailpoint, "TRIGGER_CLIENT_SECRET", "the trigger's client secret"),
)
MAIL_USER = "postmaster"
_PUT = pytest.MonkeyPatch()


@dataclass(frozen=True)
class Notes:
    """What is written down, by whichever thread. kind: `secret`, `request`, `answer`, `mail`, `service`."""

    file: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, **facts: Any) -> None:
        with self._lock, self.file.open("a") as out:
            out.write(json.dumps({"kind": kind, **facts}) + "\n")


class Heard:
    """An application that notes each request it gets. What it sends is its own affair."""

    def __init__(self, application: ASGIApp, name: str, notes: Notes) -> None:
        self._application, self._name, self._notes = application, name, notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""

        async def noting() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        try:
            await self._application(scope, noting, send)
        finally:
            self._notes.add(
                "request",
                server=self._name,
                method=scope["method"],
                path=scope["raw_path"].decode("latin-1"),
                query=scope["query_string"].decode("latin-1"),
                headers=[[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
                body=body.decode("latin-1"),
            )


class Overheard(httpx.AsyncHTTPTransport):
    """A client's way to the API that notes every answer, streams as they come to their end."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        answer.stream = _Noted(answer, request, self._notes)
        return answer


class _Noted(httpx.AsyncByteStream):
    def __init__(self, answer: httpx.Response, request: httpx.Request, notes: Notes) -> None:
        self._stream, self._notes = answer.stream, notes
        self._facts = {
            "method": request.method,
            "path": request.url.path,
            "status": answer.status_code,
            "headers": repr(answer.headers.raw),
        }
        self._body = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._stream, httpx.AsyncByteStream)
        async for part in self._stream:
            self._body += part
            yield part

    async def aclose(self) -> None:
        assert isinstance(self._stream, httpx.AsyncByteStream)
        await self._stream.aclose()
        self._notes.add("answer", **self._facts, body=self._body.decode("latin-1"))


def watch(notes: Notes) -> None:
    """Plant the secrets and put the ears in place. Before `app.demo.run` is imported, which takes names from these."""
    for module, name, what in PLANTED:
        _PUT.setattr(module, name, _new(notes, what))
    _watch_tokens(notes)
    _watch_vendors(notes)
    _watch_mails(notes)
    _watch_service(notes)


def _new(notes: Notes, what: str) -> str:
    value = f"{secrets.token_urlsafe(18)}~{secrets.token_urlsafe(18)}"
    notes.add("secret", what=what, value=value)
    return value


def _watch_tokens(notes: Notes) -> None:
    admit = TokenBook.admit

    def noting(book: TokenBook, token: str, *more: Any, **named: Any) -> None:
        notes.add("secret", what="a token that a vendor gave", value=token)
        admit(book, token, *more, **named)

    _PUT.setattr(TokenBook, "admit", noting)
    renew = pingone.PingOneVendor.renew_secret

    def renewing(vendor: pingone.PingOneVendor) -> str:
        secret = renew(vendor)
        notes.add("secret", what="PingOne's new client secret", value=secret)
        return secret

    _PUT.setattr(pingone.PingOneVendor, "renew_secret", renewing)


def _watch_vendors(notes: Notes) -> None:
    begin = loopback.Loopback.__init__

    def heard(server: loopback.Loopback, application: ASGIApp, *, name: str = "", **named: Any) -> None:
        begin(server, Heard(application, name, notes), name=name, **named)

    _PUT.setattr(loopback.Loopback, "__init__", heard)


def _watch_mails(notes: Notes) -> None:
    """The demo's mail server asks for a login too, and takes any."""
    mailbox._ANSWERS[b"EHLO"] = b"250-seatwise-demo\r\n250 AUTH PLAIN"
    mailbox._ANSWERS[b"AUTH"] = b"235 OK"
    read = mailbox._read

    def noting(content: bytes) -> mailbox.Mail:
        notes.add("mail", content=b64encode(content).decode())
        return read(content)

    _PUT.setattr(mailbox, "_read", noting)


def _watch_service(notes: Notes) -> None:
    """The service tells everything it can tell. `OTEL_…` it has from this process already."""
    given: Callable[[Path, str, str], dict[str, str]] = service._environment
    password = _new(notes, "the password of the mail server")

    def environment(folder: Path, key: str, smtp_url: str) -> Mapping[str, str]:
        notes.add("secret", what="the admin's key", value=key)
        notes.add("service", folder=str(folder))
        login = smtp_url.replace("://", f"://{MAIL_USER}:{password}@")
        return {**given(folder, key, login), "SEATWISE_LOG_LEVEL": "debug"}

    _PUT.setattr(service, "_environment", environment)


def main(file: Path) -> int:
    """Exit status of the demo."""
    notes = Notes(file)
    watch(notes)
    from app.demo import run
    from app.demo.client import DemoClient

    _PUT.setattr(run, "DemoClient", lambda url, key, **_: DemoClient(url, key, transport=Overheard(notes)))
    return run.main(keep=True, **WORLD)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
