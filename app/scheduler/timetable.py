"""The clock: APScheduler with a few interval jobs and no store of its own; what it finds due stands in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from app.core.clock import now
from app.scheduler import due, messages
from app.sync.runtime import Runtime

log = structlog.get_logger()

Turn = Callable[[Runtime], Awaitable[None]]

# What takes its turn by itself, and every how many seconds. What is slow (a mail server) has a line of its own here;
# what is quick and due at each tick is a step of `due.STEPS`.
TURNS: tuple[tuple[Turn, float], ...] = (
    (due.tick, 2),
    (due.tidy, 3600),
    *messages.TURNS,
)


@asynccontextmanager
async def ticking(runtime: Runtime) -> AsyncIterator[None]:
    """Tick for the time of the block; the first tick comes at once."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    for job, seconds in TURNS:
        scheduler.add_job(
            _surviving(job),
            "interval",
            args=[runtime],
            seconds=seconds,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            next_run_time=now(),
        )
    scheduler.start()
    try:
        async with messages.posting(runtime):
            yield
    finally:
        scheduler.shutdown(wait=False)


def _surviving(job: Turn) -> Turn:
    """A tick that fails is told once and followed by the next one."""

    async def run(runtime: Runtime) -> None:
        try:
            await job(runtime)
        except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
            log.warning("tick.failed", job=job.__name__, error=type(error).__name__, detail=str(error)[:200])

    return run
