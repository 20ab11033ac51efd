"""The right to answer one report: a lease with a fence on the run's own row, as a sync has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.database import Connection, Database
from app.sync.lease import Held, LeaseLost

_CLAIM = """
    UPDATE report_runs SET status = 'running', fence = fence + 1, lease_until = now() + make_interval(secs => $2),
        started_at = coalesce(started_at, now()), updated_at = now()
    WHERE id = $1 AND status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < now())
    RETURNING fence, report_id, definition
"""
_REMAINING = """
    SELECT greatest(extract(epoch FROM lease_until - now()), 0)::float8 FROM report_runs
    WHERE id = $1 AND status IN ('queued', 'running')
"""
_RENEW = """
    UPDATE report_runs SET lease_until = now() + make_interval(secs => $3)
    WHERE id = $1 AND fence = $2 AND status = 'running'
"""
_RELEASE = "UPDATE report_runs SET lease_until = NULL WHERE id = $1 AND fence = $2 AND status = 'running'"
_HOLD = "SELECT true FROM report_runs WHERE id = $1 AND fence = $2 AND status = 'running' FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class RunLease:
    database: Database
    run_id: UUID
    report_id: UUID
    fence: int
    seconds: float
    definition: Mapping[str, Any] = field(repr=False)

    async def hold(self, connection: Connection) -> None:
        """Lock the run for the rest of the caller's transaction, in which this process alone may then settle it.

        Raises LeaseLost where it was settled or deleted, or is another's.
        """
        if not await connection.fetchval(_HOLD, self.run_id, self.fence):
            raise LeaseLost

    async def renew(self) -> None:
        """Raises LeaseLost."""
        tag = await self.database.pool.execute(_RENEW, self.run_id, self.fence, self.seconds)
        if tag == "UPDATE 0":
            raise LeaseLost

    async def release(self) -> None:
        """Let another process go on at once (this one is stopping)."""
        await self.database.pool.execute(_RELEASE, self.run_id, self.fence)


async def claim_run(database: Database, run_id: UUID, *, seconds: float) -> RunLease | Held | None:
    """Take the run, whatever became of whoever had it. None where it is settled or gone."""
    async with database.transaction() as connection:
        row = await connection.fetchrow(_CLAIM, run_id, seconds)
        if row is not None:
            return RunLease(database, run_id, row["report_id"], row["fence"], seconds, row["definition"])
        remaining: float | None = await connection.fetchval(_REMAINING, run_id)
    return None if remaining is None else Held(remaining + 0.2)
