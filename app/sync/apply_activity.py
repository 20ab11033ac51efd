"""Uses into days: a page is folded to one row for each application, user and year, then merged bit by bit.

A day is a member of a set, so the same use applied twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import asyncpg

from app.activity.days import as_bits, bit, place
from app.connectors.contract import Use
from app.core.database import Connection
from app.sync.apply_seats import SeatCounts, apply_seats
from app.sync.entries import note_days
from app.sync.scope import RunScope

Of = TypeVar("Of")
USE_COLUMNS = ("application_id", "vendor_id", "year", "days", "last_at")

# Who was seen without a seat gets one where that is how the application's seats are told; else the use is kept on an
# account without a seat.
_STAGE_SEATS = """
    INSERT INTO stage_seats (application_id, vendor_id, seat)
    SELECT DISTINCT t.application_id, t.vendor_id,
        CASE p.access WHEN 'open' THEN 'entitled' WHEN 'admins' THEN 'unknown' ELSE 'none' END
    FROM stage_uses t
    CROSS JOIN LATERAL (SELECT o.access FROM applications o WHERE o.id = t.application_id OFFSET 0) p
    CROSS JOIN LATERAL (
        SELECT v.listed FROM vendor_users v WHERE v.instance_id = $1 AND v.vendor_id = t.vendor_id OFFSET 0
    ) u
    LEFT JOIN LATERAL (
        SELECT b.id, b.seat FROM accounts b
        WHERE b.application_id = t.application_id AND b.vendor_id = t.vendor_id OFFSET 0
    ) a ON true
    WHERE a.id IS NULL OR (a.seat = 'none' AND p.access IN ('open', 'admins') AND u.listed)
"""

_MERGE = """
    WITH fresh AS MATERIALIZED (
        SELECT t.application_id, a.id AS account_id, t.year, t.days, t.last_at, y.days AS known
        FROM stage_uses t
        CROSS JOIN LATERAL (
            SELECT b.id FROM accounts b
            WHERE b.application_id = t.application_id AND b.vendor_id = t.vendor_id OFFSET 0
        ) a
        LEFT JOIN LATERAL (
            SELECT z.days FROM activity_years z
            WHERE z.application_id = t.application_id AND z.account_id = a.id AND z.year = t.year OFFSET 0
        ) y ON true
    ), merged AS (
        INSERT INTO activity_years (application_id, account_id, year, last_day, days)
        SELECT application_id, account_id, year, (last_at AT TIME ZONE 'UTC')::date, days
        FROM fresh WHERE known IS NULL OR (known | days) <> known
        ON CONFLICT (application_id, account_id, year) DO UPDATE SET
            days = activity_years.days | excluded.days,
            last_day = greatest(activity_years.last_day, excluded.last_day)
    ), dated AS (
        UPDATE accounts a SET last_active_at = f.last_at
        FROM (SELECT account_id, max(last_at) AS last_at FROM fresh GROUP BY account_id) f
        WHERE a.id = f.account_id AND (a.last_active_at IS NULL OR a.last_active_at < f.last_at)
    )
    SELECT coalesce(sum(bit_count(days)), 0)::bigint AS read,
        coalesce(sum(bit_count(CASE WHEN known IS NULL THEN days ELSE days & ~known END)), 0)::bigint AS created
    FROM fresh
"""

_STRANGERS = """
    SELECT t.vendor_id, sum(bit_count(t.days))::bigint AS days FROM stage_uses t
    WHERE NOT EXISTS (
        SELECT 1 FROM vendor_users u WHERE u.instance_id = $1 AND u.vendor_id = t.vendor_id OFFSET 0
    )
    GROUP BY t.vendor_id
"""


@dataclass(frozen=True, slots=True)
class ActivityCounts:
    """Days of accounts; `strangers`: days by users whom the vendor does not list."""

    read: int
    created: int
    strangers: dict[str, int]
    seats: SeatCounts


async def apply_uses(
    connection: Connection, scope: RunScope, uses: Sequence[Use], applications: Mapping[str, UUID]
) -> ActivityCounts:
    """Merge one page of uses, in the caller's transaction.

    applications   the application of each entry that the vendor lists; uses of others have been left out before.
    """
    await connection.copy_records_to_table("stage_uses", records=fold(uses, applications), columns=USE_COLUMNS)
    strangers = {row["vendor_id"]: row["days"] for row in await connection.fetch(_STRANGERS, scope.instance_id)}
    await connection.execute(_STAGE_SEATS, scope.instance_id)
    seats = await apply_seats(connection, scope)
    row = await connection.fetchrow(_MERGE)
    await note_days(connection, scope.instance_id, fold(*_of_shared_applications(uses, applications)))
    read, created = (row["read"], row["created"]) if row else (0, 0)
    return ActivityCounts(read, created, strangers, seats)


def _of_shared_applications(uses: Iterable[Use], applications: Mapping[str, UUID]) -> tuple[list[Use], dict[str, str]]:
    """The uses of entries that share their application with others, to be folded by entry."""
    entries = Counter(applications.values())
    shared = {entry: entry for entry, application in applications.items() if entries[application] > 1}
    return [use for use in uses if use.application_id in shared], shared


def fold(uses: Iterable[Use], applications: Mapping[str, Of]) -> list[tuple[Of, str, int, asyncpg.BitString, datetime]]:
    """One row for each application (or entry), user and year: the days as bits, and the latest moment."""
    bits: dict[tuple[Of, str, int], int] = {}
    latest: dict[tuple[Of, str, int], datetime] = {}
    for use in uses:
        at = use.at.astimezone(UTC)
        key = (applications[use.application_id], use.user_id, at.year)
        bits[key] = bits.get(key, 0) | bit(place(at.date())[1])
        if key not in latest or latest[key] < at:
            latest[key] = at
    return [(*key, as_bits(days), latest[key]) for key, days in bits.items()]
