"""The right to make one plan: the same lease with a fence as a sync's, on the plan's own row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from app.core.database import Connection, Database
from app.sync.lease import Held, LeaseLost


@dataclass(frozen=True, slots=True)
class PlanLease:
    database: Database
    plan_id: UUID
    fence: int
    seconds: float

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction on a connection of the pool in which this job alone may write; it renews the lease.

        Raises LeaseLost, before and instead of writing, where the plan was superseded, discarded, or is another's.
        """
        async with self.database.transaction() as connection:
            held = await connection.fetchval(
                """
                UPDATE plans SET lease_until = now() + make_interval(secs => $3)
                WHERE id = $1 AND fence = $2 AND status = 'planning' RETURNING true
                """,
                self.plan_id,
                self.fence,
                self.seconds,
            )
            if not held:
                raise LeaseLost
            yield connection

    async def renew(self) -> None:
        async with self.transaction():
            pass

    async def release(self) -> None:
        """Let another worker go on at once (this one is stopping)."""
        async with self.database.pool.acquire() as connection:
            await connection.execute(
                "UPDATE plans SET lease_until = NULL, worker = NULL WHERE id = $1 AND fence = $2",
                self.plan_id,
                self.fence,
            )


async def claim_plan(database: Database, plan_id: UUID, *, worker: UUID, seconds: float) -> PlanLease | Held | None:
    """Take the plan, however far a dead worker has come. None where there is nothing left to plan."""
    async with database.transaction() as connection:
        fence = await connection.fetchval(
            """
            UPDATE plans SET fence = fence + 1, worker = $2, lease_until = now() + make_interval(secs => $3),
                read_at = coalesce(read_at, now()), updated_at = now()
            WHERE id = $1 AND status = 'planning' AND (lease_until IS NULL OR lease_until < now())
            RETURNING fence
            """,
            plan_id,
            worker,
            seconds,
        )
        if fence is not None:
            return PlanLease(database, plan_id, fence, seconds)
        remaining = await connection.fetchval(
            """
            SELECT greatest(extract(epoch FROM lease_until - now()), 0)::float8 FROM plans
            WHERE id = $1 AND status = 'planning'
            """,
            plan_id,
        )
    return None if remaining is None else Held(remaining + 0.2)
