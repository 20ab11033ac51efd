"""Application entries into applications: one record for each entry, or for each definition, as detection says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.connectors.contract import Application
from app.core.database import Connection
from app.sync.entries import remember_only_entries
from app.sync.scope import RunScope

ENTRY_COLUMNS = ("vendor_id", "key", "name", "definition", "active", "access", "groups", "groups_match",
                 "bypass_kind", "domain")  # fmt: skip

_ENSURE_INTEGRATED = """
    WITH added AS (
        INSERT INTO applications (instance_id, key, kind, name, access, uploaded_by)
        VALUES ($1, '', 'integrated', $3, 'assigned', $4)
        ON CONFLICT (instance_id, key) DO NOTHING RETURNING id, name
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, after, instance_id, sync_id)
        SELECT 'applications', id, name, 'created', jsonb_build_object('name', name, 'kind', 'integrated'), $1, $2
        FROM added
    )
    SELECT id, true AS created FROM added
    UNION ALL SELECT id, false FROM applications WHERE instance_id = $1 AND key = ''
"""

# An entry that was split from or merged into another application stays where it was put.
_PLACE = """
    UPDATE stage_entries s SET key = p.key
    FROM application_entries e JOIN applications p ON p.id = e.application_id
    WHERE e.instance_id = $1 AND e.vendor_id = s.vendor_id
      AND (e.placed OR split_part(p.key, ':', 1) = split_part(s.key, ':', 1))
"""

# An application is what all its entries say, also those of other pages. One of a definition is called as the catalogue
# knows the definition, else by the definition itself, if that is more than the entry's id.
_WANTED = """
    SELECT m.key,
        coalesce(min(c.name) FILTER (WHERE m.key LIKE 'definition:%'),
            min(m.definition) FILTER (WHERE m.key LIKE 'definition:%' AND m.definition <> m.vendor_id),
            min(m.name)) AS name,
        CASE WHEN count(DISTINCT m.vendor_id) = 1 THEN min(m.vendor_id) END AS vendor_id,
        CASE WHEN bool_or(m.active) THEN 'active' ELSE 'inactive' END AS status, min(m.access) AS access
    FROM (
        SELECT key, name, vendor_id, definition, active, access FROM stage_entries
        UNION ALL
        SELECT p.key, e.label, e.vendor_id, e.definition, e.active, e.access
        FROM application_entries e JOIN applications p ON p.id = e.application_id
        WHERE p.instance_id = $1 AND e.listed AND p.key IN (SELECT key FROM stage_entries)
          AND NOT EXISTS (SELECT 1 FROM stage_entries s WHERE s.vendor_id = e.vendor_id)
    ) m
    LEFT JOIN catalog c ON m.definition = ANY(c.definitions)
    GROUP BY m.key
"""

_UPDATE = f"""
    WITH wanted AS ({_WANTED}), changed AS (
        SELECT p.id, CASE WHEN p.named THEN p.name ELSE w.name END AS name, w.vendor_id, w.status, w.access,
            p.status AS old_status,
            jsonb_build_object('name', p.name, 'vendor_id', p.vendor_id, 'status', p.status, 'access', p.access) AS old
        FROM wanted w JOIN applications p ON p.instance_id = $1 AND p.key = w.key
        WHERE (p.name, p.vendor_id, p.status, p.access, p.listed)
            IS DISTINCT FROM (CASE WHEN p.named THEN p.name ELSE w.name END, w.vendor_id, w.status, w.access, true)
    ), done AS (
        UPDATE applications p SET name = c.name, vendor_id = c.vendor_id, status = c.status, access = c.access,
            listed = true, updated_at = now()
        FROM changed c WHERE p.id = c.id
        RETURNING p.id, p.name, c.old,
            jsonb_build_object('name', p.name, 'vendor_id', p.vendor_id, 'status', p.status, 'access', p.access) AS new,
            CASE WHEN c.old_status = p.status THEN 'updated' WHEN p.status = 'active' THEN 'reactivated'
                ELSE 'deactivated' END AS action
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'applications', id, name, action, seatwise_difference(old, new), seatwise_difference(new, old), $1, $2
        FROM done WHERE old <> new
    )
    SELECT action, count(*) AS number FROM done WHERE old <> new GROUP BY action
"""

_ADD = f"""
    WITH wanted AS ({_WANTED}), added AS (
        INSERT INTO applications (instance_id, key, kind, vendor_id, name, status, access, uploaded_by)
        SELECT $1, key, 'detected', vendor_id, name, status, access, $3 FROM wanted w
        WHERE NOT EXISTS (SELECT 1 FROM applications p WHERE p.instance_id = $1 AND p.key = w.key)
        RETURNING id, name, vendor_id, status
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, after, instance_id, sync_id)
        SELECT 'applications', id, name, 'created',
            jsonb_build_object('name', name, 'kind', 'detected', 'vendor_id', vendor_id, 'status', status), $1, $2
        FROM added
    )
    SELECT count(*) FROM added
"""

_SAVE_ENTRIES = """
    INSERT INTO application_entries (instance_id, vendor_id, application_id, label, definition, active, access, groups,
        groups_match, bypass_kind, domain)
    SELECT $1, s.vendor_id, p.id, s.name, s.definition, s.active, s.access, s.groups, s.groups_match, s.bypass_kind,
        s.domain
    FROM stage_entries s JOIN applications p ON p.instance_id = $1 AND p.key = s.key
    LEFT JOIN application_entries e ON e.instance_id = $1 AND e.vendor_id = s.vendor_id
    WHERE e.vendor_id IS NULL OR NOT e.listed
       OR (e.application_id, e.label, e.definition, e.active, e.access, e.groups, e.groups_match, e.bypass_kind,
           e.domain)
        IS DISTINCT FROM (p.id, s.name, s.definition, s.active, s.access, s.groups, s.groups_match, s.bypass_kind,
           s.domain)
    ON CONFLICT (instance_id, vendor_id) DO UPDATE SET
        application_id = excluded.application_id, label = excluded.label, definition = excluded.definition,
        active = excluded.active, access = excluded.access, groups = excluded.groups,
        groups_match = excluded.groups_match, bypass_kind = excluded.bypass_kind, domain = excluded.domain,
        listed = true
"""

_NOTE_SEEN = """
    WITH noted AS (
        INSERT INTO sync_seen (read_id, vendor_id) SELECT $1, vendor_id FROM stage_entries
        ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT count(*) FROM noted
"""


@dataclass(frozen=True, slots=True)
class ApplicationCounts:
    created: int
    changed: dict[str, int]
    seen: int


async def ensure_integrated(connection: Connection, scope: RunScope, name: str) -> tuple[UUID, bool]:
    """The application that the vendor itself is, made at the first sync; and whether it was made now."""
    row = await connection.fetchrow(_ENSURE_INTEGRATED, scope.instance_id, scope.sync_id, name, scope.owner)
    if row is None:
        raise RuntimeError("the integrated application was neither made nor found")
    return row["id"], row["created"]


async def apply_applications(
    connection: Connection, scope: RunScope, read_id: int, page: Sequence[Application]
) -> ApplicationCounts:
    """Merge one page of entries, in the caller's transaction.

    With detection `display_name` a definition's entries may come on several pages; the record is what all that are
    known say, whatever the page.
    """
    rows = {
        entry.vendor_id: (
            entry.vendor_id,
            _key(scope, entry),
            entry.name,
            entry.definition,
            entry.active,
            entry.access,
            list(entry.groups),
            entry.groups_match,
            entry.bypass_kind,
            entry.domain,
        )
        for entry in page
    }
    await connection.copy_records_to_table("stage_entries", records=list(rows.values()), columns=ENTRY_COLUMNS)
    await connection.execute(_PLACE, scope.instance_id)
    await remember_only_entries(connection, scope.instance_id)
    ids = (scope.instance_id, scope.sync_id)
    changed = {row["action"]: row["number"] for row in await connection.fetch(_UPDATE, *ids)}
    created = await connection.fetchval(_ADD, *ids, scope.owner)
    await connection.execute(_SAVE_ENTRIES, scope.instance_id)
    seen = await connection.fetchval(_NOTE_SEEN, read_id)
    return ApplicationCounts(created, changed, seen)


def _key(scope: RunScope, entry: Application) -> str:
    if scope.detection == "display_name":
        return f"definition:{entry.definition}"
    return f"entry:{entry.vendor_id}"
