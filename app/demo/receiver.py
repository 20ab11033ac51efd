"""A receiver of webhooks on loopback that believes only what is signed, as somebody else's program would check it.

The few lines of checking follow the Standard Webhooks specification (github.com/standard-webhooks/standard-webhooks)
and share nothing with the code that signs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.core.errors import SeatwiseError
from app.demo.vendors.loopback import Loopback

TOLERANCE_S = 300
PATIENCE_S = 30.0


class Unproved(Exception):
    """A message that does not prove where it comes from; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message that was proved. id: its `webhook-id`; raw: the body as it came."""

    id: str
    timestamp: str
    signature: str
    raw: bytes = field(repr=False)
    body: dict[str, Any]


@dataclass(slots=True)
class Receiver:
    """url: where to post to. secret: `whsec_…`, to be set once it is known; without it nothing is proved.

    messages   each once, in the order in which they came first.
    repeated   how many came again.
    refused    why each of the others was answered 401.
    """

    url: str = ""
    secret: str = field(default="", repr=False)
    messages: list[Message] = field(default_factory=list)
    repeated: int = 0
    refused: list[str] = field(default_factory=list)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: Request) -> Response:
        """Answer one message: 200, or 401 with the reason."""
        raw = await request.body()
        try:
            check(self.secret, request.headers, raw, time.time())
        except Unproved as problem:
            self.refused.append(str(problem))
            return JSONResponse({"error": str(problem)}, 401)
        message = Message(
            id=request.headers["webhook-id"],
            timestamp=request.headers["webhook-timestamp"],
            signature=request.headers["webhook-signature"],
            raw=raw,
            body=msgspec.json.decode(raw, type=dict[str, Any]),
        )
        async with self._came:
            if any(message.id == kept.id for kept in self.messages):
                self.repeated += 1
            else:
                self.messages.append(message)
                self._came.notify_all()
        return JSONResponse({"received": message.id})

    async def show(self, _request: Request) -> Response:
        """What has come so far, for those who look at it from outside."""
        messages = [{"id": message.id, **message.body} for message in self.messages]
        return JSONResponse({"messages": messages, "repeated": self.repeated, "refused": self.refused})

    async def until(self, count: int) -> list[Message]:
        """The messages, once there are so many. Raises SeatwiseError where they do not come."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._came:
                await self._came.wait_for(lambda: len(self.messages) >= count)
        except TimeoutError:
            raise SeatwiseError(
                f"{len(self.messages)} of {count} messages came within {PATIENCE_S:.0f} s; refused: {self.refused}."
            ) from None
        return list(self.messages)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver for the time of the block, at a port of the system's choice."""
    hooks = Receiver()
    routes = [Route("/hooks", hooks.take, methods=["POST"]), Route("/hooks", hooks.show, methods=["GET"])]
    async with Loopback(Starlette(routes=routes), name="receiver") as server:
        hooks.url = f"{server.base_url}/hooks"
        yield hooks


def check(secret: str, headers: Mapping[str, str], raw: bytes, now: float) -> None:
    """Prove a message. Raises Unproved.

    now   epoch seconds; what is over five minutes away from it may be a message that somebody has kept.
    """
    try:
        message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        given = headers["webhook-signature"].split()
        away_s = abs(now - int(timestamp))
    except (KeyError, ValueError):
        raise Unproved("The message is not signed.") from None
    if away_s > TOLERANCE_S:
        raise Unproved(f"The message was signed {away_s:.0f} s away from now.")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + raw, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    if not key or not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise Unproved("The signature is not that of the message.")
