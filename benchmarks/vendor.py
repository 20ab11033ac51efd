"""`python -m benchmarks.vendor`: a simulated Okta that makes each answer once and then repeats it.

Making the records costs more than reading them, so a vendor that made them anew each time would be what is measured.
Its world stands still; its quotas are out of reach.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import time
from datetime import UTC, datetime, timedelta

import uvloop
from starlette.types import Message, Receive, Scope, Send

from app.demo.vendors.okta import LIMITS, OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World

LATENCY_PATH = "/benchmark/latency/"
_PLENTY = 100_000_000
_QUOTA = (b"x-rate-limit-limit", b"x-rate-limit-remaining", b"x-rate-limit-reset")


class RepeatingOkta(OktaVendor):
    """A GET of `LATENCY_PATH` and a number of seconds sets how long every answer takes at least."""

    def __init__(self, world: World) -> None:
        super().__init__(world, record=False, limits=dict.fromkeys(LIMITS, _PLENTY))
        self._kept: dict[tuple[str, bytes], tuple[Message, Message]] = {}

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(LATENCY_PATH):
            self.faults.latency_s = float(scope["path"].removeprefix(LATENCY_PATH))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        key = (scope["path"], _without_since(scope["query_string"]))
        if key not in self._kept:
            self._kept[key] = await self._made(scope, receive)
        start, body = self._kept[key]
        quota = (str(_PLENTY).encode(), str(_PLENTY).encode(), str(int(time.time()) + 60).encode())
        await send({**start, "headers": [*start["headers"], *zip(_QUOTA, quota, strict=True)]})
        await send(body)

    async def _made(self, scope: Scope, receive: Receive) -> tuple[Message, Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await super().serve(scope, receive, keep)
        start, *bodies = messages
        if start["status"] != 200:
            raise RuntimeError(f"{scope['path']} was answered with status {start['status']}")
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in _QUOTA]
        body = b"".join(message.get("body", b"") for message in bodies)
        return {**start, "headers": headers}, {"type": "http.response.body", "body": body}


def _without_since(query: bytes) -> bytes:
    """The log's first page, whichever moment a read begins at: the world has nothing older than the first read."""
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"since="))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vendor", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--applications", type=int, required=True)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--activity", type=float, required=True)
    return parser.parse_args()


async def main() -> None:
    options = arguments()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    world = World(
        people=options.people,
        applications=options.applications,
        days=options.days,
        activity=options.activity,
        today=yesterday,
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    gc.disable()
    async with VendorServer(RepeatingOkta(world), port=options.port):
        await ended.wait()


if __name__ == "__main__":
    uvloop.run(main())
