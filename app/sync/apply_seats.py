"""Seats into accounts: what `stage_seats` names is made or brought up to date from the vendor's user.

Nobody is deactivated here: that is judged at the close, when the whole read is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.core.database import Connection
from app.sync.scope import RunScope

# The fields whose change is a change of the account, for the books and for its history.
_FACTS = """
    jsonb_build_object('person_id', {0}.person_id, 'username', {0}.username, 'email', {0}.email, 'name', {0}.name,
        'role', {0}.role, 'seat', {1}.seat, 'status', {2}.status, 'vendor_status', {0}.vendor_status,
        'metadata', {0}.metadata, 'fields', {0}.fields)
"""

_UPDATE = f"""
    WITH wanted AS (
        SELECT a.id, u.person_id, u.username, u.email, u.name, u.role, t.seat,
            CASE WHEN t.seat <> 'none' AND u.active AND u.listed THEN 'active' ELSE a.status END AS status,
            u.vendor_status, u.metadata, u.fields, coalesce(t.assigned_at, a.assigned_at) AS assigned_at,
            a.status AS old_status, {_FACTS.format("a", "a", "a")} AS old
        FROM stage_seats t
        CROSS JOIN LATERAL (
            SELECT v.* FROM vendor_users v WHERE v.instance_id = $1 AND v.vendor_id = t.vendor_id OFFSET 0
        ) u
        CROSS JOIN LATERAL (
            SELECT b.* FROM accounts b
            WHERE b.application_id = t.application_id AND b.vendor_id = t.vendor_id OFFSET 0
        ) a
        WHERE (a.person_id, a.username, a.email, a.name, a.role, a.seat, a.vendor_status, a.metadata, a.fields)
            IS DISTINCT FROM
              (u.person_id, u.username, u.email, u.name, u.role, t.seat, u.vendor_status, u.metadata, u.fields)
          OR (a.status = 'inactive' AND t.seat <> 'none' AND u.active AND u.listed)
          OR a.assigned_at IS DISTINCT FROM coalesce(t.assigned_at, a.assigned_at)
    ), done AS (
        UPDATE accounts a SET person_id = w.person_id, username = w.username, email = w.email, name = w.name,
            role = w.role, seat = w.seat, status = w.status, vendor_status = w.vendor_status, metadata = w.metadata,
            fields = w.fields, assigned_at = w.assigned_at, last_seen_at = NULL, absences = 0, sync_id = $2,
            deactivated_at = CASE WHEN w.status = 'active' THEN NULL ELSE a.deactivated_at END, updated_at = now()
        FROM wanted w WHERE a.id = w.id
        RETURNING a.id, a.name, w.old, {_FACTS.format("a", "a", "a")} AS new,
            CASE WHEN w.old_status <> w.status THEN 'reactivated' ELSE 'updated' END AS action
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'accounts', id, name, action, seatwise_difference(old, new), seatwise_difference(new, old), $1, $2
        FROM done WHERE old <> new
    )
    SELECT count(*) FILTER (WHERE action = 'updated'), count(*) FILTER (WHERE action = 'reactivated')
    FROM done WHERE old <> new
"""

_ADD = """
    WITH added AS (
        INSERT INTO accounts (instance_id, application_id, vendor_id, person_id, username, email, name, role, seat,
            status, vendor_status, metadata, fields, assigned_at, sync_id)
        SELECT DISTINCT ON (t.application_id, t.vendor_id)
            $1, t.application_id, t.vendor_id, u.person_id, u.username, u.email, u.name, u.role, t.seat,
            CASE WHEN t.seat <> 'none' AND u.active AND u.listed THEN 'active' ELSE 'inactive' END,
            u.vendor_status, u.metadata, u.fields, t.assigned_at, $2
        FROM stage_seats t
        CROSS JOIN LATERAL (
            SELECT v.* FROM vendor_users v WHERE v.instance_id = $1 AND v.vendor_id = t.vendor_id OFFSET 0
        ) u
        WHERE NOT EXISTS (
            SELECT 1 FROM accounts a
            WHERE a.application_id = t.application_id AND a.vendor_id = t.vendor_id OFFSET 0
        )
        RETURNING id, name, email, username, application_id, seat, status
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, after, instance_id, sync_id)
        SELECT 'accounts', id, name, 'created', jsonb_build_object('application_id', application_id, 'email', email,
            'username', username, 'seat', seat, 'status', status), $1, $2
        FROM added
    )
    SELECT count(*) FROM added
"""

_BACK = """
    UPDATE accounts a SET last_seen_at = NULL, absences = 0
    WHERE a.id = ANY (ARRAY(
        SELECT b.id FROM stage_seats t
        CROSS JOIN LATERAL (
            SELECT c.id, c.last_seen_at, c.absences FROM accounts c
            WHERE c.application_id = t.application_id AND c.vendor_id = t.vendor_id OFFSET 0
        ) b
        WHERE t.seat <> 'none' AND (b.last_seen_at IS NOT NULL OR b.absences <> 0)
    ))
"""

_UNKNOWN = """
    SELECT DISTINCT t.vendor_id FROM stage_seats t
    WHERE NOT EXISTS (
        SELECT 1 FROM vendor_users u WHERE u.instance_id = $1 AND u.vendor_id = t.vendor_id OFFSET 0
    )
"""


@dataclass(frozen=True, slots=True)
class SeatCounts:
    """unknown_users: ids that the vendor named but does not list."""

    created: int = 0
    updated: int = 0
    reactivated: int = 0
    unknown_users: tuple[str, ...] = ()


async def apply_seats(connection: Connection, scope: RunScope) -> SeatCounts:
    """Merge what stands in `stage_seats` and empty it, in the caller's transaction."""
    ids = (scope.instance_id, scope.sync_id)
    updated, reactivated = await connection.fetchrow(_UPDATE, *ids) or (0, 0)
    await connection.execute(_BACK)
    created = await connection.fetchval(_ADD, *ids)
    unknown = await connection.fetch(_UNKNOWN, scope.instance_id)
    await connection.execute("DELETE FROM stage_seats")
    return SeatCounts(created, updated, reactivated, tuple(row["vendor_id"] for row in unknown))
