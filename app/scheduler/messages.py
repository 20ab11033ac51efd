"""The clock's turns for what is told: events get their places and their deliveries, time's own news is told, mails and
messages are sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from app.events.numbering import forget_events, number_events
from app.notifications.post import deliver
from app.reports.mails import post_reports
from app.sync.runtime import Runtime
from app.sync.warnings import warn
from app.webhooks.delivering import delivering
from app.webhooks.fan_out import fan_out
from app.webhooks.retention import forget_deliveries

log = structlog.get_logger()

NUMBER_S = 1
WARN_S = 5
FORGET_S = 3600
POST_S = 1


async def number(runtime: Runtime) -> None:
    await number_events(runtime.database, fan_out)


async def tell_of_time(runtime: Runtime) -> None:
    await warn(runtime.database)


async def forget(runtime: Runtime) -> None:
    await forget_deliveries(runtime.database)
    await forget_events(runtime.database)


TURNS = ((number, NUMBER_S), (tell_of_time, WARN_S), (forget, FORGET_S))


@asynccontextmanager
async def posting(runtime: Runtime) -> AsyncIterator[None]:
    """Send mails and messages for the time of the block, beside the clock: a slow receiver delays nothing else."""
    tasks = [asyncio.create_task(_post(runtime, turn)) for turn in (post_notifications, post_reports)]
    try:
        async with delivering(runtime):
            yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def post_notifications(runtime: Runtime) -> None:
    await deliver(runtime.database, runtime.settings)


async def _post(runtime: Runtime, turn: Callable[[Runtime], Awaitable[None]]) -> None:
    while True:
        try:
            await turn(runtime)
        except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
            log.warning("post.interrupted", error=type(error).__name__, detail=str(error)[:200])
        await asyncio.sleep(POST_S)
