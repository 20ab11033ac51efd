"""The worker: takes jobs from the queue in PostgreSQL and runs each with the function that its name stands for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import structlog
from pgqueuer import Queries, QueueManager
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job

from app.core import tracing
from app.scheduler.jobs import JOBS, Handler
from app.sync.leased import Again
from app.sync.requests import SYNC_JOB
from app.sync.runtime import Runtime

log = structlog.get_logger()

# A job whose worker was killed is handed on after this; the sync's own lease decides when it is really taken.
HEARTBEAT_TIMEOUT = timedelta(seconds=6)
POLL = timedelta(seconds=2)
BATCH = 2
# Slots for all other jobs together, beside those of syncs, so that long syncs keep nothing else waiting.
OTHER_JOBS = 8
PAUSE_AFTER_FAULT_S = 1.0
# A job may end within this when the process stops; what takes longer, as a vendor that does not answer makes it, is
# broken off and handed on.
GRACE_S = 5.0


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[None]:
    """Take and run jobs for the time of the block; at its end runs stop at their last checkpoint."""
    stopping = asyncio.Event()
    syncs = {name: handle for name, handle in JOBS.items() if name == SYNC_JOB}
    others = {name: handle for name, handle in JOBS.items() if name != SYNC_JOB}
    lanes = ((syncs, runtime.settings.sync_concurrency), (others, OTHER_JOBS))
    tasks = [asyncio.create_task(_work(runtime, jobs, slots, stopping)) for jobs, slots in lanes]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


async def _work(runtime: Runtime, jobs: Mapping[str, Handler], slots: int, stopping: asyncio.Event) -> None:
    """Keep a queue manager running; when the database goes away, come back with it."""
    while not stopping.is_set():
        try:
            await _manage(runtime, jobs, slots, stopping)
        except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
            log.warning("worker.interrupted", error=type(error).__name__)
            await _pause(stopping)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(PAUSE_AFTER_FAULT_S):
            await stopping.wait()
    except TimeoutError:
        return


async def _manage(runtime: Runtime, jobs: Mapping[str, Handler], slots: int, stopping: asyncio.Event) -> None:
    connection = await runtime.database.connect()
    try:
        manager = QueueManager(Queries(AsyncpgDriver(connection)))
        for name, handle in jobs.items():
            manager.entrypoint(name)(_work_with(handle, runtime, stopping))

        async def shut_down() -> None:
            await stopping.wait()
            manager.shutdown.set()

        watcher = asyncio.create_task(shut_down())
        try:
            await manager.run(
                dequeue_timeout=POLL,
                batch_size=min(BATCH, max(1, slots // 2)),
                max_concurrent_tasks=max(slots, 2),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                shutdown_on_listener_failure=True,
            )
        finally:
            watcher.cancel()
    finally:
        await connection.close()


class JobBroken(Exception):
    """What PgQueuer is told of a job that broke, for it keeps the words, the traceback and every cause in its table."""


def _work_with(handle: Handler, runtime: Runtime, stopping: asyncio.Event) -> Callable[[Job], Awaitable[None]]:
    async def work(job: Job) -> None:
        payload = msgspec.json.decode(job.payload or b"{}")
        try:
            with tracing.job(job.entrypoint, job.id, payload):
                again = await _within_grace(handle(runtime, payload, stopping), job.entrypoint, stopping)
        except Exception as error:
            log.exception("job.broken", job=job.entrypoint, job_id=str(job.id))
            raise JobBroken(f"{type(error).__qualname__}; the log has the details.") from None
        if again is not None:
            raise RetryRequested(timedelta(seconds=again.in_s), reason="not settled yet")

    return work


async def _within_grace(work: Awaitable[Again | None], name: str, stopping: asyncio.Event) -> Again | None:
    """What the work returns; or that it is to be tried again, where it goes on too long in a process that stops."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=GRACE_S)
        if working.done():
            return await working
        log.info("worker.broken_off", job=name)
        return Again(0)
    finally:
        for task in (working, stopped):
            task.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
