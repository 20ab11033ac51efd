"""Applying a plan: which one a sync applies, and taking away what was held."""

from __future__ import annotations

from uuid import UUID

from app.core.database import Connection, Record
from app.sync.absence import AbsenceCounts, take_away
from app.sync.close import hand_on_people, settle_people
from app.sync.finish import end_sync, tally_absence
from app.sync.plan_hold import settle_plans
from app.sync.shared_people import share_people
from app.sync.work import Work

# As the plan names them; an account that has gone inactive meanwhile is none that is deactivated.
_STAGE = """
    INSERT INTO stage_lost (account_id, new_seat, was_active)
    SELECT a.id, coalesce(c.after ->> 'seat', a.seat), a.status = 'active'
    FROM plan_changes c JOIN accounts a ON a.id = c.object_id
    WHERE c.plan_id = $1 AND c.kind = 'accounts'
"""


async def plan_of(connection: Connection, sync_id: UUID) -> Record | None:
    """The plan that a sync applies, with `id`, `reason`, `read_at`, `seen_until`, `gone_entries`; None for others."""
    return await connection.fetchrow(
        "SELECT id, reason, read_at, seen_until, gone_entries FROM plans WHERE sync_id = $1 AND status = 'applied'",
        sync_id,
    )


async def apply_held(work: Work, plan: Record) -> None:
    """Take away what the plan names, and finish the sync, in one transaction. Raises LeaseLost."""
    async with work.lease.transaction(work.connection) as connection:
        await share_people(connection)
        await connection.execute(_STAGE, plan["id"])
        counts = await take_away(connection, work.scope, plan["gone_entries"], seen_until=plan["seen_until"])
        tally_absence(work, counts)
        work.tally.count("people", updated=await hand_on_people(connection, work.scope))
        reactivated, deactivated = await settle_people(connection, work.scope)
        work.tally.count("people", reactivated=reactivated, deactivated=deactivated)
        await settle_plans(connection, work.scope, AbsenceCounts(), None)
        for entry in work.tally.progress.values():
            entry["done"] = True
        await end_sync(work, connection)
