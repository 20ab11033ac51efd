"""Lists of accounts with their use in a window: `days_active`, `covered_days`, `usage`.

`usage` is `used` with a day of use in the window, `unused` without one where every date before today is covered, else
`unknown`; where no date is covered `days_active` is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from app.activity.as_of import accounts_then
from app.activity.days import Span, masks_by_year
from app.activity.keyset import Fetch, Key, Row, Scalar, Selection, Slice, Values, fetch_page
from app.activity.matching import begins, equals, has_member
from app.activity.observation import Observed, observe
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
    as_of           the time whose knowledge answers (see as_of.py); None for now.
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
    bypasses_sso: Literal["possible"] | None = None
    as_of: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


# JSON columns as text, to be put into the answer as they are.
_PAGE = """
    SELECT a.id, a.instance_id, a.application_id, a.person_id, a.vendor_id, a.username, a.email, a.name, a.role, a.seat,
        a.status, a.vendor_status, a.last_active_at, a.metadata::text AS metadata, a.fields::text AS fields,
        a.assigned_at, a.first_seen_at, a.last_seen_at, a.deactivated_at, a.sync_id, a.created_at, a.updated_at,
        a.bypass_evidence::text AS bypass_evidence,
        {key} AS sort_key, a.id AS sort_id
    FROM accounts a
    WHERE {where}
    ORDER BY {order}
    LIMIT {limit}
"""

_COUNT = "SELECT count(*) FROM accounts a WHERE {where}"

_DAYS_USED = """
    SELECT y.account_id, sum(bit_count(y.days & ($3::bit(366)[])[y.year - $4 + 1]))::int AS days
    FROM unnest($1::uuid[], $2::uuid[]) AS k (application_id, account_id)
    JOIN activity_years y USING (application_id, account_id)
    WHERE y.year BETWEEN $4 AND $5
    GROUP BY y.account_id
"""

_NAMES = "SELECT id, name FROM applications WHERE id = ANY($1::uuid[])"

_LEAVING = "SELECT id FROM instances WHERE leaving OR status = 'deleting'"


async def list_accounts(pool: Pool, wanted: AccountFilter, page: Slice) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of accounts, each written as JSON, and the cursor's values where more follow.

    The page is cut first; then a few small statements look up what belongs to its rows. Together they cost half of
    one statement that joins it all, which is planned anew at each call.
    """
    async with pool.acquire() as connection:
        selection = await _selection(connection.fetch, wanted, _PAGE)
        if selection is None:
            return [], None
        rows, last = await fetch_page(connection.fetch, selection, page)
        used = await _days_used(connection.fetch, rows, wanted.window)
        observed = await observe(connection.fetch, wanted.window, {row["instance_id"] for row in rows})
        if wanted.as_of is not None:
            observed = {key: _until(seen, wanted.as_of) for key, seen in observed.items()}
        names = {
            row["id"]: row["name"] for row in await connection.fetch(_NAMES, {row["application_id"] for row in rows})
        }
    # What began to be deleted between two statements is left out.
    shown = [row for row in rows if row["instance_id"] in observed and row["application_id"] in names]
    window = wanted.window.word
    return [
        _as_json(row, names[row["application_id"]], window, used.get(row["id"], 0), observed[row["instance_id"]])
        for row in shown
    ], last


async def find_account(pool: Pool, account_id: UUID, window: Span, as_of: datetime | None = None) -> bytes | None:
    """One account as the list gives it; None where there is none (then), or its instance is being deleted."""
    items, _ = await list_accounts(pool, AccountFilter(window, id=account_id, as_of=as_of), Slice(1))
    return items[0] if items else None


async def count_accounts(pool: Pool, wanted: AccountFilter) -> int:
    selection = await _selection(pool.fetch, wanted, _COUNT)
    if selection is None:
        return 0
    where = " AND ".join(selection.conditions) or "true"
    return int(await pool.fetchval(selection.text.format(where=where), *selection.values))


async def _days_used(fetch: Fetch, rows: Sequence[Row], window: Span) -> dict[UUID, int]:
    """Days of use in the window, of the accounts that were active since it began; the others have none."""
    first = midnight(window.first)
    active = [row for row in rows if row["last_active_at"] is not None and row["last_active_at"] >= first]
    if not active:
        return {}
    keys = [row["application_id"] for row in active], [row["id"] for row in active]
    found = await fetch(_DAYS_USED, *keys, masks_by_year(window, window), window.first.year, window.last.year)
    return {row["account_id"]: row["days"] for row in found}


def _until(observed: Observed, at: datetime) -> Observed:
    """What was observed up to a time: reads after it tell nothing of then."""
    read = [moment and min(moment, at) for moment in (observed.covered_until, observed.users_read_at)]
    return replace(observed, covered_until=read[0], users_read_at=read[1])


def _as_json(row: Row, application: str, window: str, used: int, observed: Observed) -> bytes:
    return msgspec.json.encode(
        {
            "id": row["id"],
            "instance_id": row["instance_id"],
            "application_id": row["application_id"],
            "application": application,
            "person_id": row["person_id"],
            "vendor_id": row["vendor_id"],
            "username": row["username"],
            "email": row["email"],
            "name": row["name"],
            "role": row["role"],
            "seat": row["seat"],
            "status": row["status"],
            "vendor_status": row["vendor_status"],
            "last_active_at": row["last_active_at"],
            "window": window,
            "days_active": used if observed.covered_days else None,
            "covered_days": observed.covered_days,
            "covered_until": observed.covered_until,
            "usage": "used" if used else "unused" if observed.whole else "unknown",
            "metadata": msgspec.Raw(row["metadata"].encode()),
            "fields": msgspec.Raw(row["fields"].encode()),
            "assigned_at": row["assigned_at"],
            "first_seen_at": row["first_seen_at"],
            "last_seen_at": row["last_seen_at"] or observed.users_read_at or row["created_at"],
            "deactivated_at": row["deactivated_at"],
            "uploaded_by": observed.owner,
            "bypasses_sso": None if row["bypass_evidence"] is None else "possible",
            "bypass_evidence": msgspec.Raw((row["bypass_evidence"] or "[]").encode()),
            "sync_id": row["sync_id"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
        }
    )


async def _selection(fetch: Fetch, wanted: AccountFilter, text: str) -> Selection | None:
    """None where no instance can have such an account. `text` names the table as `FROM accounts a`."""
    values = Values()
    conditions = _conditions(wanted, values)
    # Asked apart, and hardly ever there: as a part of the statement it would mislead the planner about all the rest.
    if leaving := [row["id"] for row in await fetch(_LEAVING)]:
        conditions.append(f"a.instance_id <> ALL ({values.add(leaving)}::uuid[])")
    if _asks_for_instances(wanted):
        instances = [key for key, seen in (await observe(fetch, wanted.window)).items() if _fits(seen, wanted)]
        if not instances:
            return None
        # As a list of ids, for which the planner has figures; it would guess wrongly about the coverage itself.
        conditions.append(f"a.instance_id = ANY({values.add(instances)}::uuid[])")
    if wanted.as_of is not None:
        then = accounts_then(
            wanted.as_of,
            values,
            id=wanted.id,
            instance_id=wanted.instance_id,
            application_id=wanted.application_id,
        )
        text = text.replace("FROM accounts a", f"FROM {then} a")
    return Selection(text, "a.id", tuple(conditions), tuple(values))


def _asks_for_instances(wanted: AccountFilter) -> bool:
    given = (wanted.owner, wanted.uploaded_by, wanted.days_active_lt)
    return wanted.usage in ("unused", "unknown") or any(each is not None for each in given)


def _fits(observed: Observed, wanted: AccountFilter) -> bool:
    """Whether owner and coverage of an instance are those asked for."""
    owners = {owner for owner in (wanted.owner, wanted.uploaded_by) if owner is not None}
    return (
        owners <= {observed.owner}
        and (wanted.days_active_lt is None or observed.covered_days > 0)
        and (wanted.usage not in ("unused", "unknown") or observed.whole == (wanted.usage == "unused"))
    )


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
        used = _was_used(wanted.window, values)
        conditions.append(used if wanted.usage == "used" else f"{used} IS NOT TRUE")
    if wanted.days_active_lt is not None:
        conditions.append(f"{_days(wanted.window, values)} < {values.add(wanted.days_active_lt)}")
    if wanted.bypasses_sso is not None:
        conditions.append("a.bypass_evidence IS NOT NULL")
    if wanted.q:
        conditions.append(begins(("a.name", "a.email", "a.username"), wanted.q, values))
    conditions += [has_member("a.metadata", key, text, values) for key, text in wanted.metadata.items()]
    return conditions


def _was_used(window: Span, values: Values) -> str:
    """Whether an account has a day in the window. The latest use tells it, and the planner knows how that is spread;
    only where a clock ran ahead do the bits have to.
    """
    first, end = values.add(midnight(window.first)), values.add(midnight(window.last + timedelta(days=1)))
    return f"(a.last_active_at >= {first} AND (a.last_active_at < {end} OR {_days(window, values)} > 0))"


def _days(window: Span, values: Values) -> str:
    """How many days of the window an account was used; none where its latest use was before."""
    masks, first, last = (
        values.add(each) for each in (masks_by_year(window, window), window.first.year, window.last.year)
    )
    return f"""
        (CASE WHEN a.last_active_at >= {values.add(midnight(window.first))} THEN (
            SELECT coalesce(sum(bit_count(y.days & ({masks}::bit(366)[])[y.year - {first} + 1])), 0)
            FROM activity_years y
            WHERE y.application_id = a.application_id AND y.account_id = a.id AND y.year BETWEEN {first} AND {last}
        ) ELSE 0 END)
    """
