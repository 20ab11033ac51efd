"""Who belongs to which entry and used it when, noted only where an application has several: a split goes by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.database import Connection
from app.sync.scope import RunScope

# Of an application with one entry, all that is known of it belongs to that entry.
_ONLY_ENTRIES = """
    SELECT min(e.vendor_id) AS entry_id, e.application_id FROM application_entries e
    WHERE e.instance_id = $1 AND {chosen} GROUP BY e.application_id HAVING count(*) = 1
"""
REMEMBER_USERS = f"""
    INSERT INTO entry_users (instance_id, entry_id, user_id)
    SELECT $1, o.entry_id, a.vendor_id FROM ({_ONLY_ENTRIES}) o
    JOIN accounts a ON a.application_id = o.application_id AND a.seat <> 'none'
    ON CONFLICT DO NOTHING
"""
REMEMBER_YEARS = f"""
    INSERT INTO entry_years (instance_id, entry_id, user_id, year, last_at, days)
    SELECT $1, o.entry_id, a.vendor_id, y.year,
        CASE WHEN (a.last_active_at AT TIME ZONE 'UTC')::date = y.last_day THEN a.last_active_at
            ELSE y.last_day::timestamp AT TIME ZONE 'UTC' END, y.days
    FROM ({_ONLY_ENTRIES}) o
    JOIN accounts a ON a.application_id = o.application_id
    JOIN activity_years y ON y.application_id = a.application_id AND y.account_id = a.id
    ON CONFLICT DO NOTHING
"""
# The staged page brings another entry for an application that had one.
_JOINED_BY_PAGE = """
    e.application_id IN (
        SELECT p.id FROM stage_entries s JOIN applications p ON p.instance_id = $1 AND p.key = s.key
        WHERE NOT EXISTS (
            SELECT 1 FROM application_entries k
            WHERE k.instance_id = $1 AND k.vendor_id = s.vendor_id AND k.application_id = p.id
        )
    )
"""
_NOTE_DAYS = """
    INSERT INTO entry_years (instance_id, entry_id, user_id, year, days, last_at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (instance_id, entry_id, user_id, year) DO UPDATE SET
        days = entry_years.days | excluded.days, last_at = greatest(entry_years.last_at, excluded.last_at)
"""

# Entries of applications that have several, and whom this sync's complete reads met in them.
_READS = """
    SELECT r.id, r.scope_id FROM sync_reads r JOIN application_entries e
        ON e.instance_id = $1 AND e.vendor_id = r.scope_id
    WHERE r.sync_id = $2 AND r.stream = 'assignments' AND r.done AND EXISTS (
        SELECT 1 FROM application_entries o WHERE o.application_id = e.application_id AND o.vendor_id <> e.vendor_id
    )
"""
_FORGET_USERS = f"""
    DELETE FROM entry_users u USING ({_READS}) r
    WHERE u.instance_id = $1 AND u.entry_id = r.scope_id
      AND NOT EXISTS (SELECT 1 FROM sync_seen s WHERE s.read_id = r.id AND s.vendor_id = u.user_id)
"""
_NOTE_USERS = f"""
    INSERT INTO entry_users (instance_id, entry_id, user_id)
    SELECT $1, r.scope_id, s.vendor_id FROM ({_READS}) r JOIN sync_seen s ON s.read_id = r.id
    ON CONFLICT DO NOTHING
"""


async def remember_only_entries(connection: Connection, instance_id: UUID) -> None:
    """Before the staged page gives an application a second entry: what it has is the first one's."""
    await connection.execute(REMEMBER_USERS.format(chosen=_JOINED_BY_PAGE), instance_id)
    await connection.execute(REMEMBER_YEARS.format(chosen=_JOINED_BY_PAGE), instance_id)


async def note_days(
    connection: Connection, instance_id: UUID, rows: Sequence[tuple[str, str, int, asyncpg.BitString, datetime]]
) -> None:
    """Keep days of entries that share an application; rows are entry, user, year, days, latest moment."""
    if rows:
        await connection.executemany(_NOTE_DAYS, [(instance_id, *row) for row in rows])


async def note_users(connection: Connection, scope: RunScope) -> None:
    """At the close: who has a seat in each entry that shares an application."""
    await connection.execute(_FORGET_USERS, scope.instance_id, scope.sync_id)
    await connection.execute(_NOTE_USERS, scope.instance_id, scope.sync_id)
