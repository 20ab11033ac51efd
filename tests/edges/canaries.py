"""Secrets that are known when they are seen, in the forms they may take, and a world that repeats what it is told."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

TELLING = 16
# The first byte of whoever speaks TLS, which nobody here does.
TLS = b"\x16"
PATH = {"PATH": os.defpath}
_NUMBER = re.compile(r" #\d+$")


@dataclass
class Canaries:
    """values   by what each is: `okta token`. A value has signs that each encoding writes in its own way."""

    values: dict[str, str] = field(default_factory=dict)

    def new(self, what: str, *, plain: bool = False, prefix: str = "") -> str:
        """A new secret; `plain` where it has to stand in a URL or a header as it is."""
        random = secrets.token_hex(20)
        return self.know(what, f"{prefix}{random}" if plain else f"{prefix}{random[:20]}/+=~{random[20:]}")

    def know(self, what: str, value: str) -> str:
        """A secret that somebody else made, of characters up to U+00FF, each of which is a byte of it. Several may be
        the same thing, and are told as one.
        """
        number = sum(known == what or known.startswith(f"{what} #") for known in self.values)
        if value not in self.values.values():
            self.values[f"{what} #{number + 1}" if number else what] = value
        return value

    def found_in(self, lines: Sequence[bytes]) -> set[tuple[int, str, bytes]]:
        """Which secrets stand in which of these lines: the line's place in the list, what it is, how it is written."""
        signs = {written: what for what, value in self.values.items() for written in forms(value)}
        text = b"\n".join(line.replace(b"\n", b"\r") for line in lines)
        with NamedTemporaryFile() as patterns:
            patterns.write(b"\n".join(signs))
            patterns.flush()
            # Thousands of signs in megabytes: grep looks for all of them at once.
            words = ("grep", "--text", "--line-number", "--only-matching", "--fixed-strings", "-f", patterns.name)
            ran = subprocess.run(words, input=text, capture_output=True, check=False, env={"LC_ALL": "C", **PATH})
        assert ran.returncode in {0, 1}, ran.stderr
        found = (line.partition(b":") for line in ran.stdout.split(b"\n") if line)
        return {(int(number) - 1, _NUMBER.sub("", signs[sign]), sign) for number, _, sign in found}

    def named_in(self, content: str | bytes) -> set[str]:
        """What the secrets are that stand in a text."""
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        return {what for _, what, _ in self.found_in([raw])}


@cache
def forms(value: str) -> frozenset[bytes]:
    """How either half of a value may be written, so that half of it is found as well as the whole: as it is, for URLs
    and JSON, in hex, in base64 wherever it begins.
    """
    length = max(TELLING, -(-len(value) // 2))
    return frozenset(form for part in (value[:length], value[-length:]) for form in _written(part) if b"\n" not in form)


def _written(part: str) -> Iterator[bytes]:
    raw = part.encode("latin-1")
    yield raw
    yield quote(raw, safe="").encode()
    yield quote_plus(raw).encode()
    yield json.dumps(part)[1:-1].encode()
    yield json.dumps(part)[1:-1].replace("/", "\\/").encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + raw)
        inner = padded[-(-offset * 8 // 6) : len(padded) - 4]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


@dataclass
class Echo:
    """A server that repeats all it is told in its errors, header by header and byte by byte.

    Paths: `…/401…`, `…/403…`, `…/500…`, `…/302…`, `…/200…` answer with that status; a redirect leads to all that was
    told. A POST to a path that ends in `token` is given a new secret as access token, but under `/refusing`. `told`
    has what came.
    """

    canaries: Canaries
    url: str = ""
    told: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while begun := await reader.read(1):
                if begun == TLS:
                    break
                head = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
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
        status = next((code for code in ("401", "403", "500", "302") if f"/{code}" in path), "200")
        said = f"{head} {body}".replace("\r\n", " ")
        content: dict[str, Any] = dict.fromkeys(
            ("message", "error_description", "errorSummary", "detail", "details", "workflowExecutionId", "title"), said
        )
        content |= {"error": "invalid_client", "errorCode": "E0000011", "code": said, "id": said, "errorId": said}
        if path.endswith("token") and "/refusing" not in path:
            token = self.canaries.new("minted token", plain=True)
            status, content = "200", {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        raw = json.dumps(content).encode()
        echoed = said.encode("ascii", "replace").decode()[:2000]
        headers = ["content-type: application/json", f"content-length: {len(raw)}", f"x-told: {echoed}"]
        headers.append(f"location: {self.url}/200?{urlencode({'told': echoed})}")
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
