"""The clock: APScheduler with a few jobs and no store of its own; what it finds due stands in PostgreSQL.

APScheduler waits for times of the host's clock. A turn is therefore reckoned from the one before it as it is taken, so
that a clock that is put forward makes up for nothing, and turns that a clock put back has moved away are called back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

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
# How often, by the monotonic clock, it is looked whether the host's clock was put back.
LOOK_S = 1.0


class _Pace(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Seconds from one turn to the next.

    Not the library's own intervals: these list every turn that a clock put forward has passed over, years of them too.
    """

    def __init__(self, seconds: float) -> None:
        self.wait = timedelta(seconds=seconds)

    def get_next_fire_time(self, _previous: datetime | None, at: datetime) -> datetime:
        return at + self.wait


@asynccontextmanager
async def ticking(runtime: Runtime) -> AsyncIterator[None]:
    """Tick for the time of the block; the first tick comes at once."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    for job, seconds in TURNS:
        scheduler.add_job(
            _surviving(job),
            _Pace(seconds),
            args=[runtime],
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            next_run_time=now(),
        )
    scheduler.start()
    watch = asyncio.create_task(_call_back(scheduler))
    try:
        async with messages.posting(runtime):
            yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        # So that no turn is begun that the shutdown would cancel before it can answer for itself.
        scheduler.pause()
        scheduler.shutdown(wait=False)


async def _call_back(scheduler: AsyncIOScheduler) -> None:
    """Let each job that is further away than its pace allows take its turn now: the host's clock was put back."""
    while True:
        await asyncio.sleep(LOOK_S)
        at = now()
        away = [job for job in scheduler.get_jobs() if job.next_run_time > at + job.trigger.wait]
        if away:
            too_far = max(job.next_run_time - at - job.trigger.wait for job in away)
            log.warning("clock.put_back", by_s=round(too_far.total_seconds()))
        for job in away:
            job.modify(next_run_time=at)


def _surviving(job: Turn) -> Turn:
    """A tick that fails is told once and followed by the next one. One that is cancelled has no fault to tell."""

    async def run(runtime: Runtime) -> None:
        try:
            await job(runtime)
        except asyncio.CancelledError:
            log.debug("tick.cancelled", job=job.__name__)
        except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
            log.warning("tick.failed", job=job.__name__, error=type(error).__name__, detail=str(error)[:200])

    return run
