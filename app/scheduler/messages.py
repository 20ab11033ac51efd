"""The clock's turns for what is told: events get their places, time's own news is told, mails are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from app.events.numbering import forget_events, number_events
from app.notifications.post import deliver
from app.sync.runtime import Runtime
from app.sync.warnings import warn

log = structlog.get_logger()

NUMBER_S = 1
WARN_S = 5
FORGET_S = 3600
POST_S = 1


async def number(runtime: Runtime) -> None:
    await number_events(runtime.database)


async def tell_of_time(runtime: Runtime) -> None:
    await warn(runtime.database)


async def forget(runtime: Runtime) -> None:
    await forget_events(runtime.database)


TURNS = ((number, NUMBER_S), (tell_of_time, WARN_S), (forget, FORGET_S))


@asynccontextmanager
async def posting(runtime: Runtime) -> AsyncIterator[None]:
    """Send mails for the time of the block, beside the clock, so that a slow mail server delays nothing else."""
    task = asyncio.create_task(_post(runtime))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _post(runtime: Runtime) -> None:
    while True:
        try:
            await deliver(runtime.database, runtime.settings)
        except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
            log.warning("post.interrupted", error=type(error).__name__, detail=str(error)[:200])
        await asyncio.sleep(POST_S)
