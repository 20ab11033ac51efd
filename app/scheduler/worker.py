"""The worker: takes jobs from the queue in PostgreSQL and runs each with the function that its name stands for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from pgqueuer import Queries, QueueManager
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job

from app.sync.requests import SYNC_JOB
from app.sync.run import run_sync
from app.sync.runtime import Runtime

log = structlog.get_logger()

# A job whose worker was killed is handed on after this; the sync's own lease decides when it is really taken.
HEARTBEAT_TIMEOUT = timedelta(seconds=6)
POLL = timedelta(seconds=2)
BATCH = 2
PAUSE_AFTER_FAULT_S = 1.0


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[None]:
    """Take and run jobs for the time of the block; at its end runs stop at their last checkpoint."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_work(runtime, stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def _work(runtime: Runtime, stopping: asyncio.Event) -> None:
    """Keep a queue manager running; when the database goes away, come back with it."""
    while not stopping.is_set():
        try:
            await _manage(runtime, stopping)
        except Exception as error:  # noqa: BLE001  whatever it was, the next turn comes
            log.warning("worker.interrupted", error=type(error).__name__)
            await _pause(stopping)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(PAUSE_AFTER_FAULT_S):
            await stopping.wait()
    except TimeoutError:
        return


async def _manage(runtime: Runtime, stopping: asyncio.Event) -> None:
    connection = await runtime.database.connect()
    try:
        manager = QueueManager(Queries(AsyncpgDriver(connection)))
        _register(manager, runtime, stopping)

        async def shut_down() -> None:
            await stopping.wait()
            manager.shutdown.set()

        watcher = asyncio.create_task(shut_down())
        try:
            await manager.run(
                dequeue_timeout=POLL,
                batch_size=BATCH,
                max_concurrent_tasks=max(runtime.settings.sync_concurrency, 2 * BATCH),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                shutdown_on_listener_failure=True,
            )
        finally:
            watcher.cancel()
    finally:
        await connection.close()


def _register(manager: QueueManager, runtime: Runtime, stopping: asyncio.Event) -> None:
    @manager.entrypoint(SYNC_JOB)
    async def sync(job: Job) -> None:
        sync_id = UUID(msgspec.json.decode(job.payload or b"{}")["sync_id"])
        again = await run_sync(runtime, sync_id, stopping)
        if again is not None:
            raise RetryRequested(timedelta(seconds=again.in_s), reason="not settled yet")
