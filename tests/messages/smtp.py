"""A mail server on loopback that keeps what it is handed, and refuses as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass
class MailSink:
    """answers   what the next commands are answered instead of with consent: `{"RCPT": ["451 later"]}`."""

    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    hang: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def addressed(self) -> list[str]:
        return [str(mail["To"]) for mail in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        try:
            if self.hang:
                await reader.read()
                return
            await say(self._answer("CONNECT", "220 sink"))
            while line := await reader.readline():
                verb = line.split()[0].decode().upper() if line.split() else ""
                await say(self._answer(verb, {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 ok")))
                if verb == "DATA":
                    content = await reader.readuntil(b"\r\n.\r\n")
                    answer = self._answer("END", "250 kept")
                    if answer.startswith("2"):
                        mail: Any = message_from_bytes(content[:-5], policy=policy.default)
                        self.received.append(mail)
                        self.arrived.set()
                    await say(answer)
                if verb == "QUIT":
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _answer(self, verb: str, usual: str) -> str:
        return self.answers[verb].pop(0) if self.answers.get(verb) else usual


@asynccontextmanager
async def mail_sink() -> AsyncIterator[MailSink]:
    sink = MailSink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=2**25)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
