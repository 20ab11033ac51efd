"""Seats into accounts: what `stage_seats` names is made or brought up to date from the vendor's user.

Nobody is deactivated here: that is judged at the close, when the whole read is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.core.database import Connection
from app.sync.scope import RunScope

# The fields whose change is a change of the account, for the books and for its history.
_FACTS = """
    jsonb_build_object('person_id', a.person_id, 'username', a.username, 'email', a.email, 'name', a.name,
        'role', a.role, 'seat', a.seat, 'status', a.status, 'vendor_status', a.vendor_status,
        'metadata', a.metadata, 'fields', a.fields)
"""

# One look at each staged seat says what is to be done with it, which for a sync of nothing new is nothing.
_MERGE = f"""
    WITH found AS MATERIALIZED (
        SELECT * FROM (
            SELECT t.application_id, t.vendor_id, t.seat, t.assigned_at, u.person_id, u.username, u.email, u.name,
                u.role, u.vendor_status, u.metadata, u.fields, t.seat <> 'none' AND u.active AND u.listed AS works,
                a.id, a.status, CASE WHEN a.id IS NOT NULL THEN {_FACTS} END AS old,
                CASE
                    WHEN u.person_id IS NULL THEN 'unknown'
                    WHEN a.id IS NULL THEN 'new'
                    WHEN (a.person_id, a.username, a.email, a.name, a.role, a.vendor_status, a.metadata, a.fields)
                        IS DISTINCT FROM
                          (u.person_id, u.username, u.email, u.name, u.role, u.vendor_status, u.metadata, u.fields)
                        OR a.seat <> t.seat
                        OR (a.status = 'inactive' AND t.seat <> 'none' AND u.active AND u.listed)
                        OR a.assigned_at IS DISTINCT FROM coalesce(t.assigned_at, a.assigned_at)
                        THEN 'changed'
                    WHEN t.seat <> 'none' AND (a.last_seen_at IS NOT NULL OR a.absences <> 0) THEN 'back'
                END AS verdict
            FROM stage_seats t
            LEFT JOIN LATERAL (
                SELECT v.* FROM vendor_users v WHERE v.instance_id = $1 AND v.vendor_id = t.vendor_id OFFSET 0
            ) u ON true
            LEFT JOIN LATERAL (
                SELECT b.* FROM accounts b
                WHERE b.application_id = t.application_id AND b.vendor_id = t.vendor_id OFFSET 0
            ) a ON true
        ) each
        WHERE verdict IS NOT NULL
    ), changed AS (
        UPDATE accounts a SET person_id = f.person_id, username = f.username, email = f.email, name = f.name,
            role = f.role, seat = f.seat, status = CASE WHEN f.works THEN 'active' ELSE a.status END,
            vendor_status = f.vendor_status, metadata = f.metadata, fields = f.fields,
            assigned_at = coalesce(f.assigned_at, a.assigned_at), last_seen_at = NULL, absences = 0, sync_id = $2,
            deactivated_at = CASE WHEN f.works OR a.status = 'active' THEN NULL ELSE a.deactivated_at END,
            updated_at = now()
        FROM found f WHERE f.verdict = 'changed' AND a.id = f.id
        RETURNING a.id, a.name, f.old, {_FACTS} AS new,
            CASE WHEN f.status <> a.status THEN 'reactivated' ELSE 'updated' END AS action
    ), back AS (
        UPDATE accounts a SET last_seen_at = NULL, absences = 0
        FROM found f WHERE f.verdict = 'back' AND a.id = f.id
    ), added AS (
        INSERT INTO accounts (instance_id, application_id, vendor_id, person_id, username, email, name, role, seat,
            status, vendor_status, metadata, fields, assigned_at, sync_id)
        SELECT DISTINCT ON (application_id, vendor_id)
            $1, application_id, vendor_id, person_id, username, email, name, role, seat,
            CASE WHEN works THEN 'active' ELSE 'inactive' END, vendor_status, metadata, fields, assigned_at, $2
        FROM found WHERE verdict = 'new'
        RETURNING id, name, email, username, application_id, seat, status
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'accounts', id, name, action, seatwise_difference(old, new), seatwise_difference(new, old),
            $1::uuid, $2::uuid
        FROM changed WHERE old <> new
        UNION ALL
        SELECT 'accounts', id, name, 'created', NULL, jsonb_build_object('application_id', application_id,
            'email', email, 'username', username, 'seat', seat, 'status', status), $1, $2
        FROM added
    )
    SELECT (SELECT count(*) FROM added) AS created,
        (SELECT count(*) FROM changed WHERE old <> new AND action = 'updated') AS updated,
        (SELECT count(*) FROM changed WHERE old <> new AND action = 'reactivated') AS reactivated,
        ARRAY(SELECT DISTINCT vendor_id FROM found WHERE verdict = 'unknown') AS unknown_users
"""


@dataclass(frozen=True, slots=True)
class SeatCounts:
    """unknown_users: ids that the vendor named but does not list."""

    created: int = 0
    updated: int = 0
    reactivated: int = 0
    unknown_users: tuple[str, ...] = ()


async def apply_seats(connection: Connection, scope: RunScope) -> SeatCounts:
    """Merge what stands in `stage_seats`, once in the caller's transaction."""
    row = await connection.fetchrow(_MERGE, scope.instance_id, scope.sync_id)
    if row is None:
        raise RuntimeError("a select of counts gives a row")
    return SeatCounts(row["created"], row["updated"], row["reactivated"], tuple(row["unknown_users"]))
