"""Books as many syncs would have left them, written straight into the tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from app.activity.days import Span, mark, window
from app.core.clock import days_between, midnight, today
from app.core.ids import new_id
from app.sync.settings import DEFAULTS

APPLICATIONS = 40
HISTORY_DAYS = 90
# Share of the days on which an account is used, as the generated patterns have it.
USED = 0.3
_PATTERNS = 512
OLDER, NEWER = "Older", "Newer"


class Books(msgspec.Struct, frozen=True):
    """instances: id by name; the accounts of the older one were all made before those of the newer one."""

    instances: dict[str, UUID]
    accounts: int
    history: Span


_PEOPLE = """
    INSERT INTO people (email, name, username, given_name, family_name, fields, source_instance_id, source_vendor_id)
    SELECT format('person%s@example.com', n), format('Person %s', n), format('person%s', n), 'Person', n::text,
        '{"department": "Sales"}', $1, format('00u%s', n)
    FROM generate_series($2::int, $3::int) n
"""
_USERS = """
    INSERT INTO vendor_users (instance_id, vendor_id, person_id, username, email, name, active, vendor_status, metadata)
    SELECT $1, p.source_vendor_id, p.id, p.username, p.email, p.name, true, 'ACTIVE',
        jsonb_build_object('status', 'ACTIVE', 'city', 'Lund', 'locale', 'sv-SE', 'department', 'Sales',
            'title', 'Analyst', 'employee_number', p.family_name)
    FROM people p WHERE p.source_instance_id = $1
"""
_INSTANCE = """
    INSERT INTO instances (id, name, connector, sync, mapping, contacts, owner, status, created_by, covered_until,
        users_read_at)
    VALUES ($1, $2, 'okta', $3, '[]', '{}', 'owner@example.com', 'live', '{}', now(), now())
"""
_APPLICATIONS = """
    INSERT INTO applications (instance_id, key, kind, vendor_id, name, access)
    SELECT $1, format('entry:%s', n), 'detected', format('0oa%s', n), format('Application %s', n), 'assigned'
    FROM generate_series(1, $2::int) n
"""
# One in sixteen is inactive, one in eight was never used; the others follow one of the patterns.
_ACCOUNTS = """
    INSERT INTO accounts (instance_id, application_id, vendor_id, person_id, username, email, name, seat, status,
        vendor_status, metadata, last_active_at)
    SELECT u.instance_id, a.id, u.vendor_id, u.person_id, u.username, u.email, u.name, 'assigned',
        CASE WHEN h.at % 16 = 0 THEN 'inactive' ELSE 'active' END, u.vendor_status, u.metadata,
        CASE WHEN h.at % 8 <> 1 THEN (SELECT last_at FROM patterns p WHERE p.pattern = h.at % $2) END
    FROM applications a
    JOIN vendor_users u ON u.instance_id = a.instance_id
    CROSS JOIN LATERAL (SELECT hashtext(a.vendor_id || u.vendor_id) & 1048575 AS at) h
    WHERE a.instance_id = $1
    ORDER BY a.vendor_id, u.vendor_id
"""
# The pattern is told by hash again, for an account has no column for it.
_YEARS = """
    INSERT INTO activity_years (application_id, account_id, year, last_day, days)
    SELECT c.application_id, c.id, y.year, y.last_day, y.days
    FROM accounts c JOIN applications a ON a.id = c.application_id
    JOIN pattern_years y ON y.pattern = (hashtext(a.vendor_id || c.vendor_id) & 1048575) % $1
    WHERE c.last_active_at IS NOT NULL
    ORDER BY c.application_id, c.id
"""


async def write_books(url: str, people: int) -> Books:
    """Two instances: the older one has four fifths of the people. Each of the people has a seat of every application
    of their instance.
    """
    connection = await asyncpg.connect(url)
    try:
        history = window(HISTORY_DAYS, today() - timedelta(days=1))
        await _patterns(connection, history)
        instances = {}
        first = 1
        for name, last in ((OLDER, people * 4 // 5), (NEWER, people)):
            instances[name] = await _instance(connection, name, first, last)
            first = last + 1
        await connection.execute(_YEARS, _PATTERNS)
        for instance_id in instances.values():
            await connection.executemany(
                "INSERT INTO coverage_years (instance_id, year, days) VALUES ($1, $2, $3)",
                [(instance_id, *row) for row in mark(days_between(history.first, today())).items()],
            )
        await connection.execute("VACUUM ANALYZE")
        accounts = await connection.fetchval("SELECT count(*) FROM accounts")
        return Books(instances, accounts, history)
    finally:
        await connection.close()


async def _instance(connection: asyncpg.Connection[Any], name: str, first: int, last: int) -> UUID:
    instance_id = new_id()
    await connection.execute(_INSTANCE, instance_id, name, msgspec.json.encode(DEFAULTS).decode())
    await connection.execute(_APPLICATIONS, instance_id, APPLICATIONS)
    await connection.execute(_PEOPLE, instance_id, first, last)
    await connection.execute(_USERS, instance_id)
    await connection.execute("ANALYZE people, vendor_users")
    await connection.execute(_ACCOUNTS, instance_id, _PATTERNS)
    return instance_id


async def _patterns(connection: asyncpg.Connection[Any], history: Span) -> None:
    """Days of use to be shared out among the accounts: as bits by year, and day by day."""
    await connection.execute("CREATE TABLE patterns (pattern int PRIMARY KEY, last_at timestamptz)")
    await connection.execute(
        "CREATE TABLE pattern_years (pattern int, year smallint, last_day date, days bit(366))",
    )
    await connection.execute("CREATE TABLE pattern_days (pattern int, day date)")
    dice = random.Random(1)
    for pattern in range(_PATTERNS):
        days = [day for day in days_between(history.first, history.last) if dice.random() < USED] or [history.last]
        await connection.execute("INSERT INTO patterns VALUES ($1, $2)", pattern, midnight(days[-1]))
        await connection.executemany("INSERT INTO pattern_days VALUES ($1, $2)", [(pattern, day) for day in days])
        await connection.executemany(
            "INSERT INTO pattern_years VALUES ($1, $2, $3, $4)",
            [(pattern, year, _last(days, year), bits) for year, bits in mark(days).items()],
        )


def _last(days: Sequence[date], year: int) -> date:
    return max(day for day in days if day.year == year)
