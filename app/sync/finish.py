"""How a run ends: the books closed and the sync succeeded, or its failure told and its instance told off."""

from __future__ import annotations

from typing import Any

from app.core.database import Connection
from app.core.errors import VendorError
from app.sync.absence import AbsenceCounts, judge_absence, judge_absence_of_users
from app.sync.announce import tell_failure, tell_success
from app.sync.close import cover, hand_on_people, lost_notes, settle_people
from app.sync.detect import renew_marks
from app.sync.entries import note_users
from app.sync.failure import InactiveReason, describe, in_plain_words, inactivates, internal
from app.sync.lease import Lease, LeaseLost, Snapshot
from app.sync.match_catalogue import match_catalogue
from app.sync.plan_hold import settle_plans
from app.sync.reads import Read, restart
from app.sync.shared_people import share_people
from app.sync.staging import commit_to_disk, plan_for_many
from app.sync.work import Work


async def succeed(work: Work, users: Read, applications: Read | None, activity: Read | None) -> bool:
    """Close the books in one transaction. False where notes of who was seen were lost: then those streams are open
    again and have to be read once more.
    """
    async with work.writing() as connection:
        lost = await lost_notes(connection, work.scope.sync_id)
        for read_id in lost:
            await restart(connection, read_id)
    if lost:
        return False
    async with work.lease.transaction(work.connection) as connection:
        await plan_for_many(connection)
        await share_people(connection)
        counts = await judge(work, connection, users, applications)
        tally_absence(work, counts)
        work.tally.count("people", updated=await hand_on_people(connection, work.scope))
        reactivated, deactivated = await settle_people(connection, work.scope)
        work.tally.count("people", reactivated=reactivated, deactivated=deactivated)
        await settle_plans(connection, work.scope, counts, applications.id if applications is not None else None)
        await connection.execute(
            "UPDATE instances SET users_read_at = $2, stale_since = NULL, updated_at = now() WHERE id = $1",
            work.scope.instance_id,
            work.began_at,
        )
        if activity is not None:
            await _tell_coverage(work, connection, activity)
        await end_sync(work, connection)
    return True


def tally_absence(work: Work, counts: AbsenceCounts) -> None:
    """Count what absence has taken away, or would have."""
    work.tally.count(
        "accounts", deactivated=counts.accounts_deactivated, updated=counts.accounts_updated, held=counts.held
    )
    work.tally.count("applications", deactivated=counts.applications_deactivated)


async def end_sync(work: Work, connection: Connection) -> None:
    """Settle the sync as succeeded and tell of it, in its last transaction. Raises LeaseLost."""
    await note_users(connection, work.scope)
    await match_catalogue(connection, work.scope.instance_id)
    await renew_marks(connection, work.scope.instance_id)
    await _finish(connection, work.lease, "succeeded", None, work.snapshot())
    await tell_success(connection, work.scope.sync_id)


async def _tell_coverage(work: Work, connection: Connection, activity: Read) -> None:
    """Say what the read has covered and where the next begins; not when the settings were changed meanwhile, for then
    the next sync reads the look-back again.
    """
    instance = await connection.fetchrow(
        "SELECT sync, options FROM instances WHERE id = $1 FOR UPDATE", work.scope.instance_id
    )
    same = instance is not None and (instance["sync"], instance["options"]) == (
        work.instance.sync,
        work.instance.options,
    )
    if not same or activity.since is None or activity.until is None:
        return
    await cover(connection, work.scope.instance_id, activity.since, activity.until)
    await connection.execute(
        "UPDATE instances SET activity_cursor = $2 WHERE id = $1", work.scope.instance_id, activity.cursor
    )


async def judge(work: Work, connection: Connection, users: Read, applications: Read | None) -> AbsenceCounts:
    """Judge absence as the instance's settings say, in the caller's transaction."""
    anybody = work.tally.counters["people"]["read"] > 0
    if not work.scope.accounts:
        return await judge_absence_of_users(connection, work.scope, users_read=users.id, anybody=anybody)
    return await judge_absence(
        connection,
        work.scope,
        users_read=users.id,
        applications_read=applications.id if applications is not None else None,
        anybody=anybody,
    )


async def fail(lease: Lease, connection: Connection, snapshot: Snapshot, error: VendorError, stream: Any) -> None:
    """Settle the sync as failed; inactivate its instance where the vendor has refused the credential or its rights."""
    reason = inactivates(error)
    async with lease.transaction(connection):
        await _finish(connection, lease, "failed", describe(error, stream), snapshot)
        stopped = reason is not None and await _inactivate(connection, lease, reason, in_plain_words(error))
        await tell_failure(connection, lease.sync_id, inactivated=stopped)


async def fail_internally(lease: Lease, connection: Connection, snapshot: Snapshot, stream: Any) -> None:
    """Settle the sync as failed by a fault of our own."""
    async with lease.transaction(connection):
        await _finish(connection, lease, "failed", internal(stream), snapshot)
        await tell_failure(connection, lease.sync_id)


async def _inactivate(connection: Connection, lease: Lease, reason: InactiveReason, detail: str) -> bool:
    """Whether it was live until now."""
    tag = await connection.execute(
        """
        UPDATE instances SET status = 'inactive', inactive_reason = $2, inactive_detail = $3, next_sync_at = NULL,
            stale_since = coalesce(stale_since, now()), updated_at = now()
        WHERE id = (SELECT instance_id FROM syncs WHERE id = $1) AND status = 'live'
        """,
        lease.sync_id,
        reason,
        detail,
    )
    return bool(tag == "UPDATE 1")


async def _finish(
    connection: Connection, lease: Lease, status: str, failure: dict[str, Any] | None, snapshot: Snapshot
) -> None:
    await commit_to_disk(connection)
    await lease.save(connection, snapshot)
    tag = await connection.execute(
        """
        UPDATE syncs SET status = $3, failure = $4, finished_at = now(), waiting = NULL, lease_until = NULL,
            updated_at = now()
        WHERE id = $1 AND fence = $2 AND status = 'running'
        """,
        lease.sync_id,
        lease.fence,
        status,
        failure,
    )
    if tag == "UPDATE 0":
        raise LeaseLost
