"""A page of users into people, vendor users and the accounts that are filled from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.database import Connection
from app.sync.apply_mapping import keep_once_written, track
from app.sync.apply_seats import SeatCounts, apply_seats
from app.sync.erased import keep_erased
from app.sync.mapping import UserMapping
from app.sync.scope import RunScope

USER_COLUMNS = (
    "vendor_id", "username", "email", "name", "active", "vendor_status", "role", "metadata", "fields",
    "email_key", "anchor", "person_username", "given_name", "family_name", "person_role", "person_fields",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UserCounts:
    people_created: int
    people_updated: int
    refused: int
    seen: int
    seats: SeatCounts


# `update_only` adds nobody: whoever is not known here, nor by e-mail from elsewhere, is left out.
_LEAVE_OUT_UNKNOWN = """
    DELETE FROM stage_users s
    WHERE NOT EXISTS (SELECT 1 FROM vendor_users u WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id)
      AND NOT EXISTS (SELECT 1 FROM people p WHERE p.email = s.email_key)
"""

# `create_only` leaves the mapped fields of the known as they are; what the vendor says of their state still counts.
_KEEP_KNOWN = """
    UPDATE stage_users s SET username = u.username, email = u.email, name = u.name, role = u.role, fields = u.fields,
        email_key = p.email, anchor = coalesce(p.anchor, s.anchor), person_username = p.username,
        given_name = p.given_name, family_name = p.family_name, person_fields = p.fields
    FROM vendor_users u JOIN people p ON p.id = u.person_id
    WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id
"""

# A person known through this vendor user alone takes the user's new address (or loses it) and keeps the history. Who
# was erased and is listed again takes it from the first who lists them, and all others find them by it.
_MOVE_PEOPLE = """
    WITH moved AS (
        SELECT DISTINCT ON (coalesce(s.email_key, s.anchor)) p.id, p.name, p.email AS old_email, s.email_key, s.anchor
        FROM stage_users s
        CROSS JOIN LATERAL (
            SELECT u.person_id FROM vendor_users u WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id OFFSET 0
        ) u
        CROSS JOIN LATERAL (SELECT o.* FROM people o WHERE o.id = u.person_id OFFSET 0) p
        WHERE (p.email IS DISTINCT FROM s.email_key OR p.anchor = 'erased/' || p.id)
          AND NOT EXISTS (SELECT 1 FROM people o WHERE o.email = s.email_key OFFSET 0)
          AND NOT EXISTS (SELECT 1 FROM people o WHERE s.email_key IS NULL AND o.anchor = s.anchor OFFSET 0)
          AND (p.anchor = 'erased/' || p.id OR NOT EXISTS (
              SELECT 1 FROM vendor_users v
              WHERE v.person_id = p.id AND (v.instance_id, v.vendor_id) <> ($1, s.vendor_id) OFFSET 0
          ))
        ORDER BY coalesce(s.email_key, s.anchor), s.vendor_id
    ), done AS (
        UPDATE people p SET email = m.email_key, anchor = CASE WHEN m.email_key IS NULL THEN m.anchor END,
            updated_at = now()
        FROM moved m WHERE p.id = m.id RETURNING p.id, p.name, m.old_email, m.email_key
    )
    INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
    SELECT 'people', id, name, 'updated', jsonb_build_object('email', old_email),
        jsonb_build_object('email', email_key), $1, $2
    FROM done
"""

# Ordered, so that two instances that bring the same people wait for each other instead of deadlocking.
_ADD_PEOPLE = """
    WITH added AS (
        INSERT INTO people (email, anchor, name, username, given_name, family_name, status, role, owner,
            restrict_access, uploaded_by, fields, source_instance_id, source_vendor_id)
        SELECT DISTINCT ON (coalesce(s.email_key, s.anchor))
            s.email_key, CASE WHEN s.email_key IS NULL THEN s.anchor END, s.name, s.person_username, s.given_name,
            s.family_name, CASE WHEN s.active THEN 'active' ELSE 'inactive' END, s.person_role, $3, $4, $3,
            s.person_fields, $1, s.vendor_id
        FROM stage_users s
        WHERE NOT EXISTS (SELECT 1 FROM people p WHERE p.email = s.email_key OFFSET 0)
          AND NOT EXISTS (SELECT 1 FROM people p WHERE s.email_key IS NULL AND p.anchor = s.anchor OFFSET 0)
        ORDER BY coalesce(s.email_key, s.anchor), s.active DESC, s.vendor_id
        ON CONFLICT DO NOTHING
        RETURNING id, name, email, status
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, after, instance_id, sync_id)
        SELECT 'people', id, name, 'created', jsonb_build_object('name', name, 'email', email, 'status', status), $1, $2
        FROM added
    )
    SELECT count(*) FROM added
"""

_TIE = """
    UPDATE stage_users s SET person_id = (SELECT p.id FROM people p WHERE p.email = s.email_key)
    WHERE s.email_key IS NOT NULL
"""
_TIE_BY_ANCHOR = """
    UPDATE stage_users s SET person_id = (SELECT p.id FROM people p WHERE p.anchor = s.anchor)
    WHERE s.email_key IS NULL
"""

_MARK_UNCHANGED = """
    UPDATE stage_users s SET changed = false
    WHERE EXISTS (
        SELECT 1 FROM vendor_users u
        WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id AND u.listed AND u.absences = 0
          AND (u.person_id, u.username, u.email, u.name, u.active, u.vendor_status, u.role, u.metadata, u.fields,
               u.person_username, u.given_name, u.family_name, u.person_fields)
            IS NOT DISTINCT FROM
              (s.person_id, s.username, s.email, s.name, s.active, s.vendor_status, s.role, s.metadata, s.fields,
               s.person_username, s.given_name, s.family_name, s.person_fields)
        OFFSET 0
    )
"""

_SAVE_USERS = """
    INSERT INTO vendor_users (instance_id, vendor_id, person_id, username, email, name, active, listed, absences,
        vendor_status, role, metadata, fields, person_username, given_name, family_name, person_fields)
    SELECT $1, vendor_id, person_id, username, email, name, active, true, 0, vendor_status, role, metadata, fields,
        person_username, given_name, family_name, person_fields
    FROM stage_users WHERE changed AND person_id IS NOT NULL
    ON CONFLICT (instance_id, vendor_id) DO UPDATE SET
        person_id = excluded.person_id, username = excluded.username, email = excluded.email, name = excluded.name,
        active = excluded.active, listed = true, absences = 0, vendor_status = excluded.vendor_status,
        role = excluded.role, metadata = excluded.metadata, fields = excluded.fields,
        person_username = excluded.person_username, given_name = excluded.given_name,
        family_name = excluded.family_name, person_fields = excluded.person_fields, updated_at = now()
"""

# A person bears the name and fields of one source, else two sources would overwrite each other at each turn.
_UPDATE_PEOPLE = """
    WITH changed AS (
        SELECT DISTINCT ON (p.id) p.id, s.vendor_id, s.name, s.person_username, s.given_name, s.family_name,
            s.person_role, s.person_fields,
            jsonb_build_object('name', p.name, 'username', p.username, 'given_name', p.given_name,
                'family_name', p.family_name, 'role', p.role, 'owner', p.owner, 'restrict_access', p.restrict_access,
                'fields', p.fields) AS old
        FROM stage_users s
        CROSS JOIN LATERAL (SELECT o.* FROM people o WHERE o.id = s.person_id OFFSET 0) p
        WHERE ((p.source_instance_id = $1 AND p.source_vendor_id = s.vendor_id) OR p.source_instance_id IS NULL)
          AND (p.name, p.username, p.given_name, p.family_name, p.role, p.owner, p.restrict_access, p.fields)
            IS DISTINCT FROM
              (s.name, s.person_username, s.given_name, s.family_name, s.person_role, $3::text, $4::boolean,
               s.person_fields)
        ORDER BY p.id, s.vendor_id
    ), done AS (
        UPDATE people p SET name = c.name, username = c.person_username, given_name = c.given_name,
            family_name = c.family_name, role = c.person_role, owner = $3, restrict_access = $4,
            fields = c.person_fields, source_instance_id = $1, source_vendor_id = c.vendor_id, updated_at = now()
        FROM changed c WHERE p.id = c.id
        RETURNING p.id, p.name, c.old, jsonb_build_object('name', p.name, 'username', p.username,
            'given_name', p.given_name, 'family_name', p.family_name, 'role', p.role, 'owner', p.owner,
            'restrict_access', p.restrict_access, 'fields', p.fields) AS new
    ), logged AS (
        INSERT INTO history (kind, object_id, name, action, before, after, instance_id, sync_id)
        SELECT 'people', id, name, 'updated', seatwise_difference(old, new), seatwise_difference(new, old), $1, $2
        FROM done
    )
    SELECT count(*) FROM done
"""

# The integrated application has a seat for everybody; the user's other accounts follow what changed.
_STAGE_SEATS = """
    INSERT INTO stage_seats (application_id, vendor_id, seat)
    SELECT $2, vendor_id, 'assigned' FROM stage_users WHERE person_id IS NOT NULL
    UNION ALL
    SELECT a.application_id, a.vendor_id, a.seat
    FROM stage_users s
    CROSS JOIN LATERAL (
        SELECT a.application_id, a.vendor_id, a.seat FROM accounts a
        WHERE a.instance_id = $1 AND a.vendor_id = s.vendor_id OFFSET 0
    ) a
    WHERE s.changed AND a.application_id <> $2
"""

_NOTE_SEEN = """
    WITH noted AS (
        INSERT INTO sync_seen (read_id, vendor_id) SELECT $1, vendor_id FROM stage_users
        ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT count(*) FROM noted
"""


async def apply_users(
    connection: Connection,
    scope: RunScope,
    read_id: int,
    rows: Sequence[tuple[Any, ...]],
    integrated: UUID | None,
    mapping: UserMapping,
) -> UserCounts:
    """Merge one page, in the caller's transaction.

    rows         tuples in the order of USER_COLUMNS, one for each vendor_id.
    integrated   the integrated application; None where the instance fills people only.
    mapping      what the rows were mapped with.
    """
    await connection.copy_records_to_table("stage_users", records=rows, columns=USER_COLUMNS)
    await keep_erased(connection, scope)
    refused = 0
    if scope.preference == "update_only":
        refused = int((await connection.execute(_LEAVE_OUT_UNKNOWN, scope.instance_id)).split()[-1])
    elif scope.preference == "create_only":
        await connection.execute(_KEEP_KNOWN, scope.instance_id)
    else:
        await keep_once_written(connection, scope, mapping)
    ids = (scope.instance_id, scope.sync_id)
    await connection.execute(_MOVE_PEOPLE, *ids)
    created = await connection.fetchval(_ADD_PEOPLE, *ids, scope.owner, scope.restrict_access)
    if scope.preference != "create_only":
        await track(connection, scope, mapping)
    await connection.execute(_TIE)
    await connection.execute(_TIE_BY_ANCHOR)
    await connection.execute(_MARK_UNCHANGED, scope.instance_id)
    await connection.execute(_SAVE_USERS, scope.instance_id)
    updated = 0
    if scope.preference != "create_only":
        updated = await connection.fetchval(_UPDATE_PEOPLE, *ids, scope.owner, scope.restrict_access)
    seats = SeatCounts()
    if integrated is not None:
        await connection.execute(_STAGE_SEATS, scope.instance_id, integrated)
        seats = await apply_seats(connection, scope)
    seen = await connection.fetchval(_NOTE_SEEN, read_id)
    return UserCounts(created, updated, refused, seen, seats)
