"""A receiver of messages on loopback: checks each signature with the official library, and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from standardwebhooks import Webhook as Verifier

HANG, RESET = "hang", "reset"


async def eventually(holds: Callable[[], Awaitable[object]], within_s: float = 20) -> None:
    """Once something holds."""
    async with asyncio.timeout(within_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        head = {"Content-Length": str(len(self.body)), "Content-Type": "application/json", **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"HTTP/1.1 {self.status} told\r\n{lines}\r\n".encode() + self.body


@dataclass(frozen=True)
class Message:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def verify(self, secret: str) -> None:
        Verifier(secret).verify(self.body, self.headers)


Behave = Callable[[Message], Reply | str]


@dataclass
class Receiver:
    """secrets: of each path, by which its messages must be signed. accepted: those that were answered with 2xx."""

    url: str = ""
    behave: Behave = field(default=lambda _message: Reply())
    delay_s: float = 0.0
    secrets: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    accepted: list[Message] = field(default_factory=list)
    token_requests: list[dict[str, list[str]]] = field(default_factory=list)
    token_life: int | None = 749
    under_way: int = 0
    most_under_way: int = 0

    def ids(self) -> list[str]:
        return [message.id for message in self.accepted]

    async def until(self, count: int, within_s: float = 20) -> list[Message]:
        """So many messages that were accepted."""

        async def there() -> bool:
            return len(self.accepted) >= count

        await eventually(there, within_s)
        return self.accepted

    async def asked(self) -> bool:
        return bool(self.messages)

    async def idle(self) -> bool:
        return not self.under_way

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = head[0].split(" ")[1]
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                reply = await self.answer(Message(path, headers, body))
                if reply == RESET:
                    writer.transport.abort()
                    return
                assert isinstance(reply, Reply)
                writer.write(reply.bytes())
                await writer.drain()

    async def answer(self, message: Message) -> Reply | str:
        if message.path == "/oauth/token":
            return self._token(message)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.messages.append(message)
            if message.path in self.secrets:
                message.verify(self.secrets[message.path])
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            reply = self.behave(message)
            if reply == HANG:
                await asyncio.sleep(30)
            if isinstance(reply, Reply) and 200 <= reply.status < 300:
                self.accepted.append(message)
            return reply
        finally:
            self.under_way -= 1

    def _token(self, message: Message) -> Reply:
        self.token_requests.append(parse_qs(message.body.decode()))
        answer: dict[str, Any] = {"access_token": f"token-number-{len(self.token_requests)}", "token_type": "bearer"}
        if self.token_life is not None:
            answer["expires_in"] = self.token_life
        return Reply(200, json.dumps(answer).encode())


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(receiver.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda _: writer.close())
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
