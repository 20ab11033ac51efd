"""The end of a run that read everything: absence judged, people settled, coverage told, the sync finished."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from app.activity.days import Span, dates, mark
from app.core.database import Connection
from app.sync.coverage import after_read
from app.sync.scope import RunScope

# {mine}: whom it is about. The accounts of an instance that is leaving count no more.
SETTLE_PEOPLE = """
    WITH mine AS ({mine}), judged AS (
        SELECT p.id, p.name, p.status AS old_status,
            CASE WHEN EXISTS (
                    SELECT 1 FROM accounts a WHERE a.person_id = p.id AND a.status = 'active'
                        AND a.instance_id <> ALL (ARRAY(SELECT id FROM instances WHERE leaving))
                )
                OR EXISTS (
                    SELECT 1 FROM vendor_users u JOIN instances i ON i.id = u.instance_id AND NOT i.leaving
                    WHERE u.person_id = p.id AND u.active AND u.listed AND i.sync ->> 'scope' = 'users'
                )
            THEN 'active' ELSE 'inactive' END AS status
        FROM mine m JOIN people p ON p.id = m.person_id
    ), done AS (
        UPDATE people p SET status = j.status, updated_at = now() FROM judged j
        WHERE p.id = j.id AND p.status <> j.status
        RETURNING p.id, p.name, p.status, j.old_status
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'people', id, name, CASE WHEN status = 'active' THEN 'reactivated' ELSE 'deactivated' END,
            jsonb_build_object('status', old_status), jsonb_build_object('status', status), $1, $2
        FROM done
    )
    SELECT count(*) FILTER (WHERE status = 'active') AS reactivated,
        count(*) FILTER (WHERE status = 'inactive') AS deactivated
    FROM done
"""
_OF_INSTANCE = """
    SELECT DISTINCT person_id FROM vendor_users WHERE instance_id = $1
    UNION SELECT id FROM people WHERE source_instance_id = $1
"""

# {orphans}: whose source has left: the eldest of those who still list them takes over.
HAND_ON_PEOPLE = """
    WITH orphans AS ({orphans}), heirs AS (
        SELECT DISTINCT ON (v.person_id) v.*, i.owner, i.sync ->> 'role' AS person_role,
            coalesce((i.sync ->> 'restrict_access')::boolean, false) AS restricted
        FROM orphans o JOIN vendor_users v ON v.person_id = o.id AND v.listed
        JOIN instances i ON i.id = v.instance_id AND NOT i.leaving
        ORDER BY v.person_id, v.created_at, v.instance_id, v.vendor_id
    ), done AS (
        UPDATE people p SET name = h.name, username = h.person_username, given_name = h.given_name,
            family_name = h.family_name, role = h.person_role, owner = h.owner, restrict_access = h.restricted,
            fields = h.person_fields, source_instance_id = h.instance_id, source_vendor_id = h.vendor_id,
            updated_at = now()
        FROM heirs h, people old WHERE p.id = h.person_id AND old.id = p.id
        RETURNING p.id, p.name,
            jsonb_build_object('name', old.name, 'username', old.username, 'given_name', old.given_name,
                'family_name', old.family_name, 'role', old.role, 'owner', old.owner,
                'restrict_access', old.restrict_access, 'fields', old.fields) AS old,
            jsonb_build_object('name', p.name, 'username', p.username, 'given_name', p.given_name,
                'family_name', p.family_name, 'role', p.role, 'owner', p.owner,
                'restrict_access', p.restrict_access, 'fields', p.fields) AS new
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'people', id, name, 'updated', seatwise_difference(old, new), seatwise_difference(new, old), $1, $2
        FROM done WHERE old <> new
    )
    SELECT count(*) FROM done WHERE old <> new
"""
_ORPHANS_OF_INSTANCE = """
    SELECT p.id FROM people p
    WHERE (p.source_instance_id = $1 OR p.id IN (SELECT person_id FROM vendor_users WHERE instance_id = $1))
      AND NOT EXISTS (
          SELECT 1 FROM vendor_users v
          WHERE v.instance_id = p.source_instance_id AND v.vendor_id = p.source_vendor_id
            AND v.person_id = p.id AND v.listed
      )
"""

_SETTLE_MINE = SETTLE_PEOPLE.format(mine=_OF_INSTANCE)
_HAND_ON_MINE = HAND_ON_PEOPLE.format(orphans=_ORPHANS_OF_INSTANCE)

_LOST_NOTES = """
    SELECT r.id FROM sync_reads r
    WHERE r.sync_id = $1 AND r.done
      AND r.seen <> (SELECT count(*) FROM sync_seen s WHERE s.read_id = r.id)
"""

_FORGET_NOTES = """
    DELETE FROM sync_seen n USING sync_reads r JOIN syncs y ON y.id = r.sync_id
    WHERE n.read_id = r.id AND y.instance_id = $1 AND y.status NOT IN ('queued', 'running')
"""


async def lost_notes(connection: Connection, sync_id: UUID) -> list[int]:
    """Reads whose notes of who was seen are not all there (the server crashed: they are unlogged); to be read again,
    for absence must never be judged from lost notes.
    """
    return [row["id"] for row in await connection.fetch(_LOST_NOTES, sync_id)]


async def forget_notes(connection: Connection, instance_id: UUID) -> None:
    """Remove the notes of the instance's finished syncs."""
    await connection.execute(_FORGET_NOTES, instance_id)


async def hand_on_people(connection: Connection, scope: RunScope) -> int:
    """Give people whose source has left the name and fields of another who lists them. Answers how many changed."""
    return int(await connection.fetchval(_HAND_ON_MINE, scope.instance_id, scope.sync_id))


async def settle_people(connection: Connection, scope: RunScope) -> tuple[int, int]:
    """A person is active while an active account is left. Answers how many were reactivated and deactivated."""
    row = await connection.fetchrow(_SETTLE_MINE, scope.instance_id, scope.sync_id)
    return (row["reactivated"], row["deactivated"]) if row else (0, 0)


async def cover(connection: Connection, instance_id: UUID, since: datetime, until: datetime) -> None:
    """Add a complete read of activity to the instance's coverage."""
    covered_until = await connection.fetchval("SELECT covered_until FROM instances WHERE id = $1", instance_id)
    rows = await connection.fetch("SELECT year, days FROM coverage_years WHERE instance_id = $1", instance_id)
    years = {row["year"]: row["days"] for row in rows}
    known: frozenset[date] = frozenset()
    if years:
        known = frozenset(dates(years, Span(date(min(years), 1, 1), date(max(years), 12, 31))))
    covered = after_read(known, covered_until, since, until)
    await connection.execute("DELETE FROM coverage_years WHERE instance_id = $1", instance_id)
    await connection.executemany(
        "INSERT INTO coverage_years (instance_id, year, days) VALUES ($1, $2, $3)",
        [(instance_id, year, days) for year, days in mark(covered).items()],
    )
    await connection.execute(
        "UPDATE instances SET covered_until = greatest(covered_until, $2) WHERE id = $1", instance_id, until
    )
