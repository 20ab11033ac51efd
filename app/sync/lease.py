"""A run's right to write: a lease on its sync row, with a fencing number.

Each claim of a sync raises `fence`. Every write of the run happens in a transaction that first locks the row under its
fence, so a worker that was thought dead can write nothing once another has claimed the sync, and a cancelled sync
(its status left `running`) writes nothing more. Ticking clocks are the database's only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.database import Connection, Database


class LeaseLost(Exception):  # it is an order to stop, not a fault
    """The sync was cancelled, or another worker has claimed it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Someone else holds the lease; ask again in so many seconds."""

    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run tells of itself each time it writes or renews."""

    progress: dict[str, Any]
    counters: dict[str, Any]
    waiting: dict[str, Any] | None
    vendor_calls: int
    throttled_seconds: float


_SAVE = """
    UPDATE syncs SET progress = $3, counters = $4, waiting = $5, vendor_calls = $6, throttled_seconds = $7,
        lease_until = now() + make_interval(secs => $8), updated_at = now()
    WHERE id = $1 AND fence = $2 AND status = 'running'
"""

# Beside a page's transaction: what that one counts is not this one's to write, or a snapshot taken before it and
# written after it would undo its counts.
_RENEW = """
    UPDATE syncs SET waiting = $3, vendor_calls = greatest(vendor_calls, $4),
        throttled_seconds = greatest(throttled_seconds, $5),
        lease_until = now() + make_interval(secs => $6), updated_at = now()
    WHERE id = $1 AND fence = $2 AND status = 'running'
"""


@dataclass(frozen=True, slots=True)
class Lease:
    database: Database
    sync_id: UUID
    fence: int
    seconds: float

    @asynccontextmanager
    async def transaction(self, connection: Connection) -> AsyncIterator[Connection]:
        """A transaction in which this run alone may write. Raises LeaseLost, before and instead of writing."""
        async with connection.transaction():
            held = await connection.fetchval(
                "SELECT true FROM syncs WHERE id = $1 AND fence = $2 AND status = 'running' FOR NO KEY UPDATE",
                self.sync_id,
                self.fence,
            )
            if not held:
                raise LeaseLost
            yield connection

    async def save(self, connection: Connection, snapshot: Snapshot) -> None:
        """Store the run's progress and renew its lease. Raises LeaseLost."""
        tag = await connection.execute(
            _SAVE,
            self.sync_id,
            self.fence,
            snapshot.progress,
            snapshot.counters,
            snapshot.waiting,
            snapshot.vendor_calls,
            snapshot.throttled_seconds,
            self.seconds,
        )
        if tag == "UPDATE 0":
            raise LeaseLost

    async def renew(self, snapshot: Snapshot) -> None:
        """Renew the lease and show what the run waits for, but not its counts. Raises LeaseLost."""
        tag = await self.database.pool.execute(
            _RENEW,
            self.sync_id,
            self.fence,
            snapshot.waiting,
            snapshot.vendor_calls,
            snapshot.throttled_seconds,
            self.seconds,
        )
        if tag == "UPDATE 0":
            raise LeaseLost

    async def release(self) -> None:
        """Let another worker go on at once (this one is stopping)."""
        async with self.database.pool.acquire() as connection:
            await connection.execute(
                "UPDATE syncs SET lease_until = NULL, worker = NULL"
                " WHERE id = $1 AND fence = $2 AND status = 'running'",
                self.sync_id,
                self.fence,
            )


async def claim(database: Database, sync_id: UUID, *, worker: UUID, seconds: float) -> Lease | Held | None:
    """Take the sync, whatever state a dead worker left it in. None where it is finished or gone."""
    async with database.transaction() as connection:
        fence = await connection.fetchval(
            """
            UPDATE syncs SET status = 'running', fence = fence + 1, worker = $2, waiting = NULL,
                lease_until = now() + make_interval(secs => $3), started_at = coalesce(started_at, now()),
                updated_at = now()
            WHERE id = $1 AND status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < now())
            RETURNING fence
            """,
            sync_id,
            worker,
            seconds,
        )
        if fence is not None:
            return Lease(database, sync_id, fence, seconds)
        remaining = await connection.fetchval(
            """
            SELECT greatest(extract(epoch FROM lease_until - now()), 0)::float8 FROM syncs
            WHERE id = $1 AND status IN ('queued', 'running')
            """,
            sync_id,
        )
    return None if remaining is None else Held(remaining + 0.2)
