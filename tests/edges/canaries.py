"""Secrets that are known when they are seen, in the forms they may take, and a world that repeats what it is told."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

TELLING = 16


@dataclass
class Canaries:
    """values   by what each is: `okta token`. A value has signs that each encoding writes in its own way."""

    values: dict[str, str] = field(default_factory=dict)

    def new(self, what: str, *, plain: bool = False, prefix: str = "") -> str:
        """A new secret; `plain` where it has to stand in a URL or a header as it is."""
        random = secrets.token_hex(20)
        return self.know(what, f"{prefix}{random}" if plain else f"{prefix}{random[:20]}/+=~{random[20:]}")

    def know(self, what: str, value: str) -> str:
        """A secret that somebody else made."""
        self.values[what] = value
        return value

    def seen_in(self, text: str) -> set[str]:
        """Which secrets stand in a text, in any form."""
        lower = text.lower()
        return {
            f"{what} ({form})"
            for what, value in self.values.items()
            for form, written in forms(value)
            if (written in lower if form == "hex" else written in text)
        }


def forms(value: str) -> Iterator[tuple[str, str]]:
    """How a value may be written: as it is, half of it, for URLs and JSON, in hex, in base64 wherever it begins."""
    raw = value.encode()
    yield "plain", value
    yield "beginning", value[: max(TELLING, len(value) // 2)]
    yield "end", value[-max(TELLING, len(value) // 2) :]
    yield "URL", quote(value, safe="")
    yield "form", quote_plus(value)
    yield "JSON", json.dumps(value)[1:-1].replace("/", "\\/")
    yield "hex", raw.hex()
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + raw).decode()
        inner = padded[-(-offset * 8 // 6) : len(padded) - 4]
        yield "base64", inner
        yield "base64url", inner.replace("+", "-").replace("/", "_")


@dataclass
class Echo:
    """A server that repeats all it is told in its errors, header by header and byte by byte.

    Paths: `…/401…`, `…/403…`, `…/500…`, `…/200…` answer with that status. A POST to a path that ends in `token` is
    given a new secret as access token, but under `/refusing`. `told` has what came.
    """

    canaries: Canaries
    url: str = ""
    told: list[str] = field(default_factory=list)
    minted: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n")[1:])}
                body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode("utf-8", "replace")
                self.told.append(f"{head}{body}")
                writer.write(self.answer(head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, head: str, body: str) -> bytes:
        path = head.split(" ")[1].partition("?")[0]
        status = next((code for code in ("401", "403", "500") if f"/{code}" in path), "200")
        said = f"{head} {body}".replace("\r\n", " ")
        content: dict[str, Any] = dict.fromkeys(
            ("message", "error_description", "errorSummary", "detail", "details", "workflowExecutionId", "title"), said
        )
        content |= {"error": "invalid_client", "errorCode": "E0000011", "code": said, "id": said, "errorId": said}
        if path.endswith("token") and "/refusing" not in path:
            self.minted += 1
            token = self.canaries.new(f"minted token {self.minted}", plain=True)
            status, content = "200", {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        raw = json.dumps(content).encode()
        echoed = said.encode("ascii", "replace").decode()[:2000]
        headers = ["content-type: application/json", f"content-length: {len(raw)}", f"x-told: {echoed}"]
        lines = [f"HTTP/1.1 {status} X", *headers, f"www-authenticate: {echoed}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + raw


@dataclass
class Mails:
    """A mail server that takes no password, and repeats it where it refuses it."""

    url: str = ""
    told: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        try:
            while line := (await reader.readline()).decode("latin-1").strip():
                self.told.append(line)
                answer = f"535 5.7.8 not you: {line}"
                if line.upper().startswith("EHLO"):
                    answer = "250-here\r\n250 AUTH PLAIN LOGIN"
                elif line.upper() in {"QUIT", "RSET", "NOOP"}:
                    answer = "250 ok"
                elif line.upper() == "AUTH LOGIN":
                    answer = "334 VXNlcm5hbWU6"
                writer.write(f"{answer}\r\n".encode("latin-1"))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(server: Echo | Mails) -> AsyncIterator[int]:
    """The port on loopback where it answers for the time of the block."""
    started = await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=2**22)
    try:
        yield int(started.sockets[0].getsockname()[1])
    finally:
        started.close()
