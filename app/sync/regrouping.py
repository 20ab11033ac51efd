"""Accounts and their days from one application of an instance to another, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession

from app.sync.entries import REMEMBER_USERS, REMEMBER_YEARS

# Who is known to be of an entry: by a seat, or by use.
_USERS_OF = """
    SELECT user_id FROM entry_users WHERE instance_id = $1 AND entry_id {of}
    UNION SELECT user_id FROM entry_years WHERE instance_id = $1 AND entry_id {of}
"""
_OTHERS = "IN (SELECT vendor_id FROM application_entries WHERE instance_id = $1 AND application_id = $3)"
_MINE = _USERS_OF.format(of="= $2")
_THEIRS = _USERS_OF.format(of=_OTHERS)

_MOVE_DAYS_OF_ONLY = f"""
    UPDATE activity_years y SET application_id = $4 FROM accounts a
    WHERE a.application_id = $3 AND y.application_id = $3 AND y.account_id = a.id
      AND a.vendor_id IN ({_MINE}) AND a.vendor_id NOT IN ({_THEIRS})
"""
_MOVE_ONLY = f"""
    UPDATE accounts a SET application_id = $4, updated_at = now()
    WHERE a.application_id = $3 AND a.vendor_id IN ({_MINE}) AND a.vendor_id NOT IN ({_THEIRS})
"""
# Whoever is of both entries has an account in each from now on.
_ADD_SHARED = f"""
    WITH shared AS (
        SELECT a.*, EXISTS (
            SELECT 1 FROM entry_users u WHERE u.instance_id = $1 AND u.entry_id = $2 AND u.user_id = a.vendor_id
        ) AS seated, (
            SELECT max(y.last_at) FROM entry_years y
            WHERE y.instance_id = $1 AND y.entry_id = $2 AND y.user_id = a.vendor_id
        ) AS used_at
        FROM accounts a WHERE a.application_id = $3 AND a.vendor_id IN ({_MINE})
    ), added AS (
        INSERT INTO accounts (instance_id, application_id, vendor_id, person_id, username, email, name, role, seat,
            status, vendor_status, metadata, fields, assigned_at, last_active_at, first_seen_at, last_seen_at,
            deactivated_at, absences, sync_id)
        SELECT instance_id, $4::uuid, vendor_id, person_id, username, email, name, role,
            CASE WHEN seated OR seat = 'entitled' OR seat = 'unknown' THEN seat ELSE 'none' END,
            CASE WHEN seated OR seat = 'entitled' OR seat = 'unknown' THEN status ELSE 'inactive' END,
            vendor_status, metadata, fields, assigned_at, used_at, first_seen_at, last_seen_at, deactivated_at,
            absences, sync_id
        FROM shared
        RETURNING id, instance_id, name, vendor_id, email, username, seat, status
    ), days AS (
        INSERT INTO activity_years (application_id, account_id, year, last_day, days)
        SELECT $4::uuid, a.id, y.year, (y.last_at AT TIME ZONE 'UTC')::date, y.days
        FROM added a JOIN entry_years y ON y.instance_id = $1 AND y.entry_id = $2 AND y.user_id = a.vendor_id
    )
    INSERT INTO history (kind, object_id, name, action, after, instance_id)
    SELECT 'accounts', id, name, 'created', jsonb_build_object('application_id', $4::uuid, 'email', email,
        'username', username, 'seat', seat, 'status', status), instance_id
    FROM added
"""
# What is left of their days at the first application is what the other entries saw.
_LEFT = f"""
    SELECT a.id, y.year, bit_or(y.days) AS days, max(y.last_at) AS last_at
    FROM accounts a JOIN entry_years y ON y.instance_id = $1 AND y.user_id = a.vendor_id AND y.entry_id {_OTHERS}
    WHERE a.application_id = $3 AND a.vendor_id IN ({_MINE})
    GROUP BY a.id, y.year
"""
_CLEAR_DAYS = f"""
    DELETE FROM activity_years y USING accounts a
    WHERE y.application_id = $3 AND a.application_id = $3 AND y.account_id = a.id AND a.vendor_id IN ({_MINE})
"""
_LEAVE_DAYS = f"""
    INSERT INTO activity_years (application_id, account_id, year, last_day, days)
    SELECT $3::uuid, id, year, (last_at AT TIME ZONE 'UTC')::date, days FROM ({_LEFT}) l
"""
_LEAVE_LATEST = f"""
    UPDATE accounts a SET last_active_at = (SELECT max(last_at) FROM ({_LEFT}) l WHERE l.id = a.id)
    WHERE a.application_id = $3 AND a.vendor_id IN ({_MINE})
"""
# An application with one entry needs no notes of whose is what.
_FORGET = """
    DELETE FROM {table} n USING application_entries e
    WHERE n.instance_id = $1 AND e.instance_id = $1 AND e.vendor_id = n.entry_id AND NOT EXISTS (
        SELECT 1 FROM application_entries o WHERE o.application_id = e.application_id AND o.vendor_id <> e.vendor_id
    )
"""

_JOIN_DAYS = """
    INSERT INTO activity_years (application_id, account_id, year, last_day, days)
    SELECT $2::uuid, k.id, y.year, y.last_day, y.days
    FROM accounts g JOIN accounts k ON k.application_id = $2 AND k.vendor_id = g.vendor_id
    JOIN activity_years y ON y.application_id = $1 AND y.account_id = g.id
    WHERE g.application_id = $1
    ON CONFLICT (application_id, account_id, year) DO UPDATE SET
        days = activity_years.days | excluded.days, last_day = greatest(activity_years.last_day, excluded.last_day)
"""
_DROP_DAYS = """
    DELETE FROM activity_years y USING accounts g JOIN accounts k ON k.application_id = $2 AND k.vendor_id = g.vendor_id
    WHERE g.application_id = $1 AND y.application_id = $1 AND y.account_id = g.id
"""
# The better seat of the two stands, and who is active in one is active.
_JOIN_ACCOUNTS = """
    WITH pairs AS (
        SELECT k.id, jsonb_build_object('seat', k.seat, 'status', k.status) AS old,
            CASE WHEN array_position(ARRAY['assigned', 'entitled', 'unknown', 'none'], g.seat)
                < array_position(ARRAY['assigned', 'entitled', 'unknown', 'none'], k.seat) THEN g.seat ELSE k.seat
            END AS seat,
            CASE WHEN 'active' IN (k.status, g.status) THEN 'active' ELSE 'inactive' END AS status,
            greatest(k.last_active_at, g.last_active_at) AS last_active_at,
            least(k.assigned_at, g.assigned_at) AS assigned_at,
            least(k.first_seen_at, g.first_seen_at) AS first_seen_at,
            CASE WHEN k.last_seen_at IS NULL OR g.last_seen_at IS NULL THEN NULL
                ELSE greatest(k.last_seen_at, g.last_seen_at) END AS last_seen_at,
            greatest(k.deactivated_at, g.deactivated_at) AS deactivated_at, least(k.absences, g.absences) AS absences,
            least(k.created_at, g.created_at) AS created_at
        FROM accounts g JOIN accounts k ON k.application_id = $2 AND k.vendor_id = g.vendor_id
        WHERE g.application_id = $1
    ), done AS (
        UPDATE accounts k SET seat = p.seat, status = p.status, last_active_at = p.last_active_at,
            assigned_at = p.assigned_at, first_seen_at = p.first_seen_at, last_seen_at = p.last_seen_at,
            deactivated_at = CASE WHEN p.status = 'inactive' THEN p.deactivated_at END, absences = p.absences,
            updated_at = now()
        FROM pairs p WHERE k.id = p.id
        RETURNING k.id, k.instance_id, k.name, p.old,
            jsonb_build_object('seat', k.seat, 'status', k.status) AS new
    )
    INSERT INTO history (kind, object_id, name, action, before, after, instance_id, actor)
    SELECT 'accounts', id, name, CASE WHEN old ->> 'status' <> new ->> 'status' THEN 'reactivated' ELSE 'updated' END,
        seatwise_difference(old, new), seatwise_difference(new, old), instance_id, $3::jsonb
    FROM done WHERE old <> new
"""
_JOIN_HISTORY = """
    UPDATE history h SET object_id = k.id, joined_from = g.id
    FROM accounts g JOIN accounts k ON k.application_id = $2 AND k.vendor_id = g.vendor_id
    WHERE g.application_id = $1 AND h.object_id = g.id
"""
_JOIN_EXEMPTIONS = """
    UPDATE licence_exemptions x SET account_id = k.id
    FROM accounts g JOIN accounts k ON k.application_id = $2 AND k.vendor_id = g.vendor_id
    WHERE g.application_id = $1 AND x.account_id = g.id
        AND NOT EXISTS (SELECT FROM licence_exemptions o WHERE o.account_id = k.id)
"""
# Of two that say something else of the same days, or tie the same source, the one that is there already stands.
_MOVE_CONTRACTS = """
    UPDATE contracts c SET application_id = $2, updated_at = now() WHERE c.application_id = $1 AND NOT EXISTS (
        SELECT FROM contracts o WHERE o.application_id = $2
            AND daterange(o.starts_on, o.renews_on) && daterange(c.starts_on, c.renews_on)
    )
"""
_MOVE_MAPPINGS = """
    UPDATE source_mappings m SET application_id = $2, accounts_matched_at = NULL, updated_at = now()
    WHERE m.application_id = $1 AND NOT EXISTS (
        SELECT FROM source_mappings o
        WHERE o.application_id = $2 AND o.tenant_id = m.tenant_id AND o.source_id = m.source_id
    )
"""
_DROP_ACCOUNTS = """
    DELETE FROM accounts g USING accounts k
    WHERE g.application_id = $1 AND k.application_id = $2 AND k.vendor_id = g.vendor_id
"""


async def remember(session: AsyncSession, instance_id: UUID, applications: Sequence[UUID]) -> None:
    """Before applications are joined: what those of one entry have is that entry's."""
    for statement in (REMEMBER_USERS, REMEMBER_YEARS):
        await _run(session, statement.format(chosen="e.application_id = ANY($2)"), instance_id, list(applications))


async def move_entry(session: AsyncSession, instance_id: UUID, entry_id: str, origin: UUID, made: UUID) -> None:
    """Move what is the entry's alone from `origin` to `made`, and divide what it shares with origin's other entries.

    The entry itself stands at `made` already.
    """
    for statement in (_MOVE_DAYS_OF_ONLY, _MOVE_ONLY, _ADD_SHARED):
        await _run(session, statement, instance_id, entry_id, origin, made)
    for statement in (_CLEAR_DAYS, _LEAVE_DAYS, _LEAVE_LATEST):
        await _run(session, statement, instance_id, entry_id, origin)
    for table in ("entry_users", "entry_years"):
        await _run(session, _FORGET.format(table=table), instance_id)


async def join_accounts(session: AsyncSession, origin: UUID, into: UUID, actor: dict[str, Any]) -> None:
    """Move all accounts of `origin` to `into`, with its contracts, exemptions and source mappings; of a vendor user
    with an account in both the latter's stays.
    """
    await _run(session, _JOIN_DAYS, origin, into)
    await _run(session, _DROP_DAYS, origin, into)
    await _run(session, _JOIN_ACCOUNTS, origin, into, to_json(actor).decode())
    for statement in (
        _JOIN_HISTORY,
        _JOIN_EXEMPTIONS,
        _MOVE_CONTRACTS,
        _MOVE_MAPPINGS,
        _DROP_ACCOUNTS,
        "UPDATE activity_years SET application_id = $2 WHERE application_id = $1",
        "UPDATE accounts SET application_id = $2, updated_at = now() WHERE application_id = $1",
        "UPDATE history SET object_id = $2, joined_from = $1 WHERE object_id = $1",
    ):
        await _run(session, statement, origin, into)


async def _run(session: AsyncSession, statement: str, *values: Any) -> None:
    connection = await session.connection()
    await connection.exec_driver_sql(statement, values)
