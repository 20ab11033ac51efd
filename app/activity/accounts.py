"""Lists of accounts with their use in a window: `days_active`, `covered_days`, `usage`.

`usage` is `used` with a day of use in the window, `unused` without one where every date before today is covered, else
`unknown`; where no date is covered `days_active` is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec

from app.activity.days import Span, masks_by_year
from app.activity.keyset import Key, Scalar, Selection, Slice, Values, content_of, fetch_page
from app.activity.matching import begins, equals, has_member
from app.core.clock import midnight
from app.core.database import Pool

Usage = Literal["used", "unused", "unknown"]

SORTS = {
    "name": Key('(lower(a.name) COLLATE "C")'),
    "email": Key('(lower(a.email) COLLATE "C")', nullable=True),
    "last_active_at": Key("a.last_active_at", kind="time", nullable=True),
}


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts; what is None does not matter.

    window          the dates over which use is told and filtered.
    q               beginning of name, e-mail or username, case-blind.
    days_active_lt  leaves out the accounts whose days are not known.
    owner           whom the instance belongs to that reports the account.
    metadata        texts by key; booleans and numbers match as they are written.
    """

    window: Span
    id: UUID | None = None
    application_id: UUID | None = None
    instance_id: UUID | None = None
    person_id: UUID | None = None
    status: str | None = None
    seat: str | None = None
    role: str | None = None
    vendor_id: str | None = None
    usage: Usage | None = None
    q: str | None = None
    days_active_lt: int | None = None
    owner: str | None = None
    uploaded_by: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


# What each instance observed; few rows, read once for a whole page.
_SEEN = """
    WITH seen AS MATERIALIZED (
        SELECT i.id, i.owner, i.covered_until, i.users_read_at,
            coalesce(sum(bit_count(c.days & ($1::bit(366)[])[c.year - $3 + 1])), 0)::int AS covered_days,
            coalesce(sum(bit_count(c.days & ($2::bit(366)[])[c.year - $3 + 1])), 0)::int AS covered_before,
            $5::int AS days_before
        FROM instances i
        LEFT JOIN coverage_years c ON c.instance_id = i.id AND c.year BETWEEN $3 AND $4
        WHERE i.status <> 'deleting'
        GROUP BY i.id
    )
"""

# Who was not active since the window began has no day in it; the bits of the others decide.
_DAYS = """
    (CASE WHEN a.last_active_at >= $6 THEN (
        SELECT coalesce(sum(bit_count(y.days & ($1::bit(366)[])[y.year - $3 + 1])), 0)::int
        FROM activity_years y
        WHERE y.application_id = a.application_id AND y.account_id = a.id AND y.year BETWEEN $3 AND $4
    ) ELSE 0 END)
"""

_ALL_SEEN = "(s.covered_days > 0 AND s.covered_before = s.days_before)"

# The latest use tells it, and the planner knows its distribution; only where a clock ran ahead the bits have to.
_USED = f"(a.last_active_at >= $6 AND (a.last_active_at < $8 OR {_DAYS} > 0))"
_IDLE = f"(a.last_active_at IS NULL OR a.last_active_at < $6 OR (a.last_active_at >= $8 AND {_DAYS} = 0))"

# The page is cut first, from accounts alone, so that the rest is looked up for its rows only.
_PAGE = (
    _SEEN
    + """
    , page AS MATERIALIZED (
        SELECT a.*, """
    + _DAYS
    + """ AS days_used, {key} AS sort_key
        FROM accounts a
        WHERE {where}
        ORDER BY {order}
        LIMIT {limit}
    )
    SELECT a.id, a.instance_id, a.application_id, x.name AS application, a.person_id, a.vendor_id, a.username, a.email,
        a.name, a.role, a.seat, a.status, a.vendor_status, a.last_active_at, $7::text AS "window",
        CASE WHEN s.covered_days > 0 THEN a.days_used END AS days_active, s.covered_days, s.covered_until,
        CASE WHEN a.days_used > 0 THEN 'used' WHEN """
    + _ALL_SEEN
    + """ THEN 'unused' ELSE 'unknown' END AS usage,
        a.metadata, a.fields, a.assigned_at, a.first_seen_at,
        coalesce(a.last_seen_at, s.users_read_at, a.created_at) AS last_seen_at, a.deactivated_at,
        s.owner AS uploaded_by, a.sync_id, a.created_at, a.updated_at, a.sort_key, a.id AS sort_id
    FROM page a JOIN applications x ON x.id = a.application_id JOIN seen s ON s.id = a.instance_id
    ORDER BY a.sort_key {way}, a.id {way}
"""
)

# A parameter that a statement does not mention would have no type.
_ALL_NAMED = "($1::bit(366)[], $2::bit(366)[], $3::int, $4::int, $5::int, $6::timestamptz, $7::text) IS NOT NULL"

_NOT_LEAVING = "a.instance_id <> ALL (ARRAY(SELECT id FROM instances WHERE status = 'deleting'))"


async def list_accounts(pool: Pool, wanted: AccountFilter, page: Slice) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of accounts, each written as JSON, and the cursor's values where more follow."""
    selection = await _selection(pool, wanted)
    if selection is None:
        return [], None
    rows, last = await fetch_page(pool.fetch, selection, page)
    return [msgspec.json.encode(content_of(row)) for row in rows], last


async def find_account(pool: Pool, account_id: UUID, window: Span) -> bytes | None:
    """One account as the list gives it; None where there is none, or its instance is being deleted."""
    items, _ = await list_accounts(pool, AccountFilter(window, id=account_id), Slice(1))
    return items[0] if items else None


async def count_accounts(pool: Pool, wanted: AccountFilter) -> int:
    selection = await _selection(pool, wanted)
    if selection is None:
        return 0
    where = " AND ".join((_ALL_NAMED, *selection.conditions))
    statement = f"SELECT count(*) FROM accounts a WHERE {where}"
    return int(await pool.fetchval(statement, *selection.values))


async def _selection(pool: Pool, wanted: AccountFilter) -> Selection | None:
    """None where no instance can have such an account."""
    values = Values(_window_values(wanted.window))
    conditions = ["$8::timestamptz IS NOT NULL", _NOT_LEAVING]
    if _asks_for_instances(wanted):
        instances = await _instances(pool, wanted)
        if not instances:
            return None
        # As a list of ids, for which the planner has figures; it would guess wrongly about the coverage itself.
        conditions.append(f"a.instance_id = ANY({values.add(instances)}::uuid[])")
    conditions += _conditions(wanted, values)
    return Selection(_PAGE, "a.id", tuple(conditions), tuple(values))


def _asks_for_instances(wanted: AccountFilter) -> bool:
    given = (wanted.owner, wanted.uploaded_by, wanted.days_active_lt)
    return wanted.usage in ("unused", "unknown") or any(each is not None for each in given)


async def _instances(pool: Pool, wanted: AccountFilter) -> list[UUID]:
    """The instances whose owner and coverage fit."""
    rows = await pool.fetch(
        f"{_SEEN} SELECT s.id, s.owner, s.covered_days, {_ALL_SEEN} AS all_seen FROM seen s",
        *_window_values(wanted.window)[:5],
    )
    owners = {owner for owner in (wanted.owner, wanted.uploaded_by) if owner is not None}
    return [
        row["id"]
        for row in rows
        if all(row["owner"] == owner for owner in owners)
        and (wanted.days_active_lt is None or row["covered_days"] > 0)
        and (wanted.usage not in ("unused", "unknown") or row["all_seen"] == (wanted.usage == "unused"))
    ]


def _conditions(wanted: AccountFilter, values: Values) -> list[str]:
    conditions = equals(
        {
            "a.id": wanted.id,
            "a.application_id": wanted.application_id,
            "a.instance_id": wanted.instance_id,
            "a.person_id": wanted.person_id,
            "a.status": wanted.status,
            "a.seat": wanted.seat,
            "a.role": wanted.role,
            "a.vendor_id": wanted.vendor_id,
        },
        values,
    )
    if wanted.usage is not None:
        conditions.append(_USED if wanted.usage == "used" else _IDLE)
    if wanted.days_active_lt is not None:
        conditions.append(f"{_DAYS} < {values.add(wanted.days_active_lt)}")
    if wanted.q:
        conditions.append(begins(("a.name", "a.email", "a.username"), wanted.q, values))
    conditions += [has_member("a.metadata", key, text, values) for key, text in wanted.metadata.items()]
    return conditions


def _window_values(window: Span) -> list[object]:
    """$1 to $8: masks of the window and of its dates before today, its first and last year, how many dates lie before
    today, the first moment of the window, its name, and the first moment after it.
    """
    return [
        masks_by_year(window, window),
        masks_by_year(Span(window.first, window.last - timedelta(days=1)), window),
        window.first.year,
        window.last.year,
        window.days - 1,
        midnight(window.first),
        window.word,
        midnight(window.last + timedelta(days=1)),
    ]
