"""Work under a lease: done by one process at a time, given up when the lease is lost, taken up again by the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog

from app.core.faults import is_database_fault
from app.sync.lease import Held, LeaseLost

log = structlog.get_logger()

AWAY_S = 2.0
"""How long a job waits for a database that went away."""


@dataclass(frozen=True, slots=True)
class Again:
    """The work is not settled; it should be tried again in so many seconds."""

    in_s: float


class Stopping(Exception):  # it is an order, not a fault
    """The process ends; the work stops at its last checkpoint."""


class _Lease(Protocol):
    @property
    def fence(self) -> int: ...

    async def release(self) -> None: ...


L = TypeVar("L", bound=_Lease)


async def work_under(
    claimed: L | Held | None, work: Callable[[L], Awaitable[None]], what: str, **named: UUID
) -> Again | None:
    """Do the work of a claimed lease. None once it is settled, by whomever; else when to try again.

    work    settles it. May raise LeaseLost, Stopping.
    what    what to call it in the log, which has the ids of `named` beside each line meanwhile.
    """
    if claimed is None:
        return None
    if isinstance(claimed, Held):
        return Again(claimed.retry_in_s)
    lease_lost, paused, database_lost = (f"{what}.{event}" for event in ("lease_lost", "paused", "database_lost"))
    with structlog.contextvars.bound_contextvars(**{name: str(id_) for name, id_ in named.items()}):
        try:
            await work(claimed)
        except LeaseLost:
            log.info(lease_lost, fence=claimed.fence)
        except Stopping:
            await claimed.release()
            log.info(paused)
            return Again(0)
        except Exception as error:
            if not is_database_fault(error):
                raise
            log.warning(database_lost, error=type(error).__name__)
            return Again(AWAY_S)
    return None


async def while_renewing(
    body: Coroutine[Any, Any, None], renew: Callable[[], Awaitable[None]], seconds: float, stopping: asyncio.Event
) -> None:
    """Run the body while its lease, of so many seconds, is renewed beside it. A lost lease, or the process ending,
    stops the body. Raises LeaseLost, Stopping.
    """
    main = asyncio.create_task(body)
    beat = asyncio.create_task(_keep_renewing(renew, seconds, stopping))
    try:
        await asyncio.wait({main, beat}, return_when=asyncio.FIRST_COMPLETED)
        await (main if main.done() else beat)
    finally:
        for task in (main, beat):
            task.cancel()
        await asyncio.gather(main, beat, return_exceptions=True)


async def _keep_renewing(renew: Callable[[], Awaitable[None]], seconds: float, stopping: asyncio.Event) -> None:
    """Renew several times within a lease, which also shows the progress. Raises LeaseLost, Stopping."""
    pause = min(1.0, seconds / 4)
    renewed_at = time.monotonic()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stopping.wait()
            raise Stopping
        try:
            await renew()
            renewed_at = time.monotonic()
        except Exception as error:
            if not is_database_fault(error):
                raise
            if time.monotonic() - renewed_at > seconds:
                raise LeaseLost from error
