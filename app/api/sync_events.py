"""A sync's progress as server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from app.core.faults import is_database_fault

POLL_S = 0.5
QUIET_S = 10.0
FINISHED = frozenset({"succeeded", "failed", "cancelled"})


class _Status(msgspec.Struct):
    status: str


async def follow(
    read: Callable[[], Awaitable[bytes | None]],
    stopping: Callable[[], bool],
    *,
    poll_s: float = POLL_S,
    quiet_s: float = QUIET_S,
) -> AsyncIterator[bytes]:
    """`progress` at once and whenever `read` gives something new, `finished` at last.

    read      the sync as JSON on one line, None once it is gone; holds no connection between two calls.
    stopping  whether the process ends: then the stream ends too, and the client asks another replica.
    poll_s    seconds between two looks; quiet_s  after so many seconds without an event comes a comment line.
    """
    shown: bytes | None = None
    told_at = time.monotonic()
    while not stopping():
        try:
            sync = await read()
        except Exception as error:
            if not is_database_fault(error):
                raise
            return
        if sync is None:
            return
        if msgspec.json.decode(sync, type=_Status).status in FINISHED:
            yield _event("finished", sync)
            return
        if sync != shown:
            shown, told_at = sync, time.monotonic()
            yield _event("progress", sync)
        elif time.monotonic() - told_at >= quiet_s:
            told_at = time.monotonic()
            yield b": still here\n\n"
        await asyncio.sleep(poll_s)


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
