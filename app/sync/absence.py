"""Judging absence, once the whole read is known: who is gone, whose seat is gone, and whether to believe it.

Only complete reads get here. More deactivations than the instance allows, or a list that is suddenly empty, are held:
nothing is taken away until a person has seen the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.core.database import Connection
from app.sync.scope import RunScope
from app.sync.staging import without_loops

HeldReason = Literal["limit", "zero_rows"]

# Up to this many are not held by the limit, unless they leave nobody: 20 % of four seats would hold each leaver.
ALWAYS_ALLOWED = 3

_COUNT_ABSENCES = """
    UPDATE vendor_users u SET absences = least(u.absences + 1, 1000)
    WHERE u.instance_id = $1 AND u.listed
      AND NOT EXISTS (SELECT 1 FROM sync_seen s WHERE s.read_id = $2 AND s.vendor_id = u.vendor_id)
"""

_COUNT_SEAT_ABSENCES = """
    WITH seen AS (
        SELECT e.application_id, s.vendor_id
        FROM application_entries e
        JOIN sync_reads r ON r.sync_id = $2 AND r.stream = 'assignments' AND r.scope_id = e.vendor_id
        JOIN sync_seen s ON s.read_id = r.id
        WHERE e.instance_id = $1
    )
    UPDATE accounts a SET absences = least(a.absences + 1, 1000)
    FROM applications p
    WHERE a.instance_id = $1 AND p.id = a.application_id AND p.kind = 'detected' AND a.seat <> 'none'
      AND CASE p.access
          WHEN 'assigned' THEN true
          WHEN 'groups' THEN true
          ELSE a.last_active_at IS NULL
      END
      AND NOT EXISTS (
          SELECT 1 FROM seen WHERE seen.application_id = a.application_id AND seen.vendor_id = a.vendor_id
            AND p.access IN ('assigned', 'groups')
      )
"""

# What each account of the instance would be: its seat, and whether the vendor lets its user work.
_STAGE_LOST = """
    INSERT INTO stage_lost (account_id, new_seat, was_active)
    SELECT a.id, w.seat, a.status = 'active'
    FROM accounts a
    JOIN applications p ON p.id = a.application_id
    JOIN vendor_users u ON u.instance_id = a.instance_id AND u.vendor_id = a.vendor_id
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN NOT u.listed OR u.absences >= $2 THEN 'none'
            WHEN p.kind = 'integrated' THEN a.seat
            WHEN NOT EXISTS (
                SELECT 1 FROM application_entries e
                JOIN sync_seen s ON s.read_id = $3 AND s.vendor_id = e.vendor_id
                WHERE e.instance_id = $1 AND e.application_id = p.id
            ) THEN 'none'
            WHEN a.absences >= $2 THEN 'none'
            ELSE a.seat
        END AS seat
    ) w
    WHERE a.instance_id = $1
      AND (w.seat <> a.seat OR (a.status = 'active' AND NOT u.active))
"""

_TAKE = """
    WITH lost AS (
        SELECT a.id, a.seat AS old_seat, a.status AS old_status, l.new_seat
        FROM stage_lost l JOIN accounts a ON a.id = l.account_id
    ), done AS (
        UPDATE accounts a SET seat = l.new_seat, status = 'inactive', sync_id = $2, updated_at = now(),
            deactivated_at = CASE WHEN a.status = 'active' THEN now() ELSE a.deactivated_at END,
            last_seen_at = CASE
                WHEN l.new_seat = 'none' AND a.seat <> 'none' THEN coalesce($3, i.users_read_at, a.created_at)
                ELSE a.last_seen_at
            END
        FROM lost l, instances i WHERE a.id = l.id AND i.id = $1
        RETURNING a.id, a.name, l.old_status,
            jsonb_build_object('seat', l.old_seat, 'status', l.old_status) AS old,
            jsonb_build_object('seat', a.seat, 'status', a.status) AS new
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'accounts', id, name, CASE WHEN old_status = 'active' THEN 'deactivated' ELSE 'updated' END,
            seatwise_difference(old, new), seatwise_difference(new, old), $1, $2
        FROM done
    )
    SELECT count(*) FILTER (WHERE old_status = 'active') AS deactivated,
        count(*) FILTER (WHERE old_status <> 'active') AS updated
    FROM done
"""

_UNLIST_USERS = """
    UPDATE vendor_users SET listed = false, updated_at = now()
    WHERE instance_id = $1 AND listed AND absences >= $2
"""

_GONE_ENTRIES = """
    SELECT e.vendor_id FROM application_entries e
    WHERE e.instance_id = $1 AND e.listed
      AND NOT EXISTS (SELECT 1 FROM sync_seen s WHERE s.read_id = $2 AND s.vendor_id = e.vendor_id)
"""

_UNLIST_ENTRIES = "UPDATE application_entries SET listed = false WHERE instance_id = $1 AND vendor_id = ANY($2)"

# Nothing of a kind was listed, although there was some: no application, or nobody in applications that still are.
_SUDDENLY_EMPTY = """
    SELECT NOT EXISTS (SELECT 1 FROM sync_seen WHERE read_id = $3)
            AND EXISTS (SELECT 1 FROM application_entries WHERE instance_id = $1 AND listed)
        OR NOT EXISTS (
                SELECT 1 FROM sync_reads r JOIN sync_seen s ON s.read_id = r.id
                WHERE r.sync_id = $2 AND r.stream = 'assignments'
            )
            AND EXISTS (
                SELECT 1 FROM accounts a JOIN application_entries e ON e.application_id = a.application_id
                JOIN sync_seen s ON s.read_id = $3 AND s.vendor_id = e.vendor_id
                WHERE a.instance_id = $1 AND a.seat <> 'none' AND e.instance_id = $1
                  AND e.access IN ('assigned', 'groups')
            )
"""

_CLOSE_APPLICATIONS = """
    WITH done AS (
        UPDATE applications p SET listed = false, status = 'inactive', updated_at = now()
        WHERE p.instance_id = $1 AND p.kind = 'detected' AND p.listed
          AND NOT EXISTS (SELECT 1 FROM application_entries e WHERE e.application_id = p.id AND e.listed)
        RETURNING p.id, p.name
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'applications', id, name, 'deactivated', '{"status": "active"}', '{"status": "inactive"}', $1, $2
        FROM done
    )
    SELECT count(*) FROM done
"""


@dataclass(frozen=True, slots=True)
class AbsenceCounts:
    """What was taken away; or how many accounts are held, and why. What is held stands in `stage_lost` until the
    transaction ends.
    """

    accounts_deactivated: int = 0
    accounts_updated: int = 0
    applications_deactivated: int = 0
    held: int = 0
    reason: HeldReason | None = None


async def judge_absence(
    connection: Connection, scope: RunScope, *, users_read: int, applications_read: int | None, anybody: bool
) -> AbsenceCounts:
    """Take away what a complete read did not show, in the caller's transaction, unless that is too much to believe.

    users_read, applications_read   ids of the reads whose notes tell who was seen; the latter is None for vendors that
                                    list no applications.
    anybody                         whether the read of users had any record at all.
    """
    async with without_loops(connection):
        await connection.execute(_COUNT_ABSENCES, scope.instance_id, users_read)
        await connection.execute(_COUNT_SEAT_ABSENCES, scope.instance_id, scope.sync_id)
    if not scope.deactivate:
        return AbsenceCounts()
    await connection.execute(_STAGE_LOST, scope.instance_id, scope.absence_scans, applications_read)
    losing = await connection.fetchval("SELECT count(*) FILTER (WHERE was_active) FROM stage_lost")
    active = await connection.fetchval(
        "SELECT count(*) FROM accounts WHERE instance_id = $1 AND status = 'active'", scope.instance_id
    )
    empty = bool(not anybody and active)
    if applications_read is not None and not empty:
        ids = (scope.instance_id, scope.sync_id, applications_read)
        empty = bool(await connection.fetchval(_SUDDENLY_EMPTY, *ids))
    reason = _reason(scope, empty=empty, losing=losing, active=active)
    if reason is not None:
        return AbsenceCounts(held=losing, reason=reason)
    return await take_away(connection, scope, await gone_entries(connection, scope, applications_read))


async def gone_entries(connection: Connection, scope: RunScope, applications_read: int | None) -> list[str]:
    """The vendor's ids of entries that were listed and that the read has not shown."""
    return [row["vendor_id"] for row in await connection.fetch(_GONE_ENTRIES, scope.instance_id, applications_read)]


async def take_away(
    connection: Connection, scope: RunScope, gone: Sequence[str], *, seen_until: datetime | None = None
) -> AbsenceCounts:
    """Take from the books what `stage_lost` says, users who were absent long enough, and the entries that are gone.

    seen_until   the latest read that still showed the seats; None for the instance's latest complete read.
    """
    row = await connection.fetchrow(_TAKE, scope.instance_id, scope.sync_id, seen_until)
    deactivated, updated = (row["deactivated"], row["updated"]) if row else (0, 0)
    await connection.execute(_UNLIST_USERS, scope.instance_id, scope.absence_scans)
    await connection.execute(_UNLIST_ENTRIES, scope.instance_id, gone)
    closed = await connection.fetchval(_CLOSE_APPLICATIONS, scope.instance_id, scope.sync_id)
    return AbsenceCounts(deactivated, updated, closed)


async def judge_absence_of_users(
    connection: Connection, scope: RunScope, *, users_read: int, anybody: bool
) -> AbsenceCounts:
    """The same for an instance that fills people only: whom the read did not show is listed no longer."""
    async with without_loops(connection):
        await connection.execute(_COUNT_ABSENCES, scope.instance_id, users_read)
    if not scope.deactivate:
        return AbsenceCounts()
    row = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE absences >= $2) AS losing, count(*) AS listed FROM vendor_users
        WHERE instance_id = $1 AND listed
        """,
        scope.instance_id,
        scope.absence_scans,
    )
    losing, listed = (row["losing"], row["listed"]) if row else (0, 0)
    reason = _reason(scope, empty=bool(not anybody and listed), losing=losing, active=listed)
    if reason is not None:
        return AbsenceCounts(held=losing, reason=reason)
    await connection.execute(_UNLIST_USERS, scope.instance_id, scope.absence_scans)
    return AbsenceCounts()


def _reason(scope: RunScope, *, empty: bool, losing: int, active: int) -> HeldReason | None:
    if scope.confirmed:
        return None
    if empty:
        return "zero_rows"
    return "limit" if is_held(losing, active, scope.deactivation_limit_percent) else None


def is_held(losing: int, active: int, limit_percent: int) -> bool:
    """Whether so many deactivations, of so many active accounts, wait for a person's word."""
    if losing == 0:
        return False
    if losing <= ALWAYS_ALLOWED and losing < active:
        return False
    return losing * 100 > active * limit_percent
