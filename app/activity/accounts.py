"""Lists of accounts with their use in a window: `days_active`, `covered_days`, `usage`.

`usage` is `used` with a day of use in the window, `unused` without one where every date before today is covered, else
`unknown`; where no date is covered `days_active` is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from app.activity.as_of import accounts_then
from app.activity.days import Span, masks
from app.activity.keyset import Fetch, Key, Row, Scalar, Selection, Slice, Values, fetch_page
from app.activity.matching import begins, equals, has_member
from app.activity.observation import Observed, observe, observed_sql
from app.activity.written import rfc3339
from app.core.clock import midnight

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


# The page is cut first; what belongs to its rows is looked up for these alone, and coverage once for each instance.
# JSON, ids and times come as text, to be put into the answer as they are, in the order of `_Account`.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT a.*, {days} AS days, {key} AS sort_key FROM {accounts} a WHERE {where} ORDER BY {order} LIMIT {limit}
    ), seen AS MATERIALIZED (
        {observed} AND i.id = ANY (ARRAY(SELECT instance_id FROM page))
    )
    SELECT a.id::text, a.instance_id::text, a.application_id::text, p.name AS application, a.person_id::text,
        a.vendor_id, a.username, a.email, a.name, a.role, a.seat, a.status, a.vendor_status, a.last_active_at::text,
        {word}::text AS window, CASE WHEN i.covered_days > 0 THEN a.days END AS days_active, i.covered_days,
        {covered_until}::text AS covered_until,
        CASE WHEN a.days > 0 THEN 'used' WHEN i.whole THEN 'unused' ELSE 'unknown' END AS usage,
        a.metadata::text, a.fields::text, a.assigned_at::text, a.first_seen_at::text,
        coalesce(a.last_seen_at, {users_read_at}, a.created_at)::text AS last_seen_at, a.deactivated_at::text,
        i.owner AS uploaded_by, CASE WHEN a.bypass_evidence IS NOT NULL THEN 'possible' END AS bypasses_sso,
        coalesce(a.bypass_evidence::text, '[]') AS bypass_evidence, a.sync_id::text, a.created_at::text,
        a.updated_at::text, a.sort_key, a.id AS sort_id
    FROM page a JOIN seen i ON i.id = a.instance_id JOIN applications p ON p.id = a.application_id
    ORDER BY a.sort_key {way}, a.id {way}
"""

_COUNT = "SELECT count(*) FROM {accounts} a WHERE {where}"

# A test for null, which the planner takes for true of nearly all rows, as it is; any other form of it would mislead the
# planner about all the rest.
_STAYS = """
    nullif(a.instance_id = ANY (ARRAY(SELECT id FROM instances WHERE leaving OR status = 'deleting')), true) IS NOT NULL
"""


class _Account(msgspec.Struct, frozen=True):
    """An account as it is shown; `AccountAnswer` describes the same members. Times are written as JSON has them."""

    id: str
    instance_id: str
    application_id: str
    application: str
    person_id: str
    vendor_id: str
    username: str | None
    email: str | None
    name: str
    role: str | None
    seat: str
    status: str
    vendor_status: str | None
    last_active_at: str | None
    window: str
    days_active: int | None
    covered_days: int
    covered_until: str | None
    usage: Usage
    metadata: msgspec.Raw
    fields: msgspec.Raw
    assigned_at: str | None
    first_seen_at: str | None
    last_seen_at: str | None
    deactivated_at: str | None
    uploaded_by: str
    bypasses_sso: Literal["possible"] | None
    bypass_evidence: msgspec.Raw
    sync_id: str | None
    created_at: str | None
    updated_at: str | None


async def list_accounts(fetch: Fetch, wanted: AccountFilter, page: Slice) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of accounts, each written as JSON, and the cursor's values where more follow."""
    values = Values()
    within, others = _within(wanted, values)
    conditions = await _conditions(fetch, others, values)
    if conditions is None:
        return [], None
    selection = Selection(_page(wanted, values), "a.id", tuple(conditions), tuple(values), within=within)
    rows, last = await fetch_page(fetch, selection, page)
    return [_as_json(row) for row in rows], last


async def find_account(fetch: Fetch, account_id: UUID, window: Span, as_of: datetime | None = None) -> bytes | None:
    """One account as the list gives it; None where there is none (then), or its instance is being deleted."""
    items, _ = await list_accounts(fetch, AccountFilter(window, id=account_id, as_of=as_of), Slice(1))
    return items[0] if items else None


async def count_accounts(fetch: Fetch, wanted: AccountFilter) -> int:
    values = Values()
    conditions = await _conditions(fetch, wanted, values)
    if conditions is None:
        return 0
    statement = _COUNT.format(accounts=_table(wanted, values), where=" AND ".join(conditions))
    (row,) = await fetch(statement, *values)
    return int(row["count"])


def _within(wanted: AccountFilter, values: Values) -> tuple[tuple[str, str] | None, AccountFilter]:
    """`Selection.within`, and the filters without the one that it stands for."""
    if wanted.as_of is None and wanted.application_id is not None:
        return ("a.application_id", values.add_unweighed(wanted.application_id, "uuid")), replace(
            wanted, application_id=None
        )
    if wanted.as_of is None and wanted.instance_id is not None:
        return ("a.instance_id", values.add_unweighed(wanted.instance_id, "uuid")), replace(wanted, instance_id=None)
    return None, wanted


def _page(wanted: AccountFilter, values: Values) -> str:
    """The statement of a page, as `Selection.text`."""
    return _PAGE.format(
        accounts=_table(wanted, values),
        days=_days(wanted.window, values),
        observed=observed_sql(wanted.window, values),
        word=values.add(wanted.window.word),
        covered_until=_read_before("i.covered_until", wanted.as_of, values),
        users_read_at=_read_before("i.users_read_at", wanted.as_of, values),
        **{place: f"{{{place}}}" for place in ("key", "where", "order", "way", "limit")},
    )


def _table(wanted: AccountFilter, values: Values) -> str:
    if wanted.as_of is None:
        return "accounts"
    return accounts_then(
        wanted.as_of, values, id=wanted.id, instance_id=wanted.instance_id, application_id=wanted.application_id
    )


def _read_before(column: str, at: datetime | None, values: Values) -> str:
    """The time of an instance's read: those after `at` tell nothing of then."""
    return column if at is None else f"CASE WHEN {column} IS NOT NULL THEN least({column}, {values.add(at)}) END"


def _as_json(row: Row) -> bytes:
    (
        account_id,
        instance_id,
        application_id,
        application,
        person_id,
        vendor_id,
        username,
        email,
        name,
        role,
        seat,
        status,
        vendor_status,
        last_active_at,
        window,
        days_active,
        covered_days,
        covered_until,
        usage,
        metadata,
        fields,
        assigned_at,
        first_seen_at,
        last_seen_at,
        deactivated_at,
        uploaded_by,
        bypasses_sso,
        bypass_evidence,
        sync_id,
        created_at,
        updated_at,
        _sort_key,
        _sort_id,
    ) = row.values()
    return _encode(
        _Account(
            account_id,
            instance_id,
            application_id,
            application,
            person_id,
            vendor_id,
            username,
            email,
            name,
            role,
            seat,
            status,
            vendor_status,
            rfc3339(last_active_at),
            window,
            days_active,
            covered_days,
            rfc3339(covered_until),
            usage,
            msgspec.Raw(metadata),
            msgspec.Raw(fields),
            rfc3339(assigned_at),
            rfc3339(first_seen_at),
            rfc3339(last_seen_at),
            rfc3339(deactivated_at),
            uploaded_by,
            bypasses_sso,
            msgspec.Raw(bypass_evidence),
            sync_id,
            rfc3339(created_at),
            rfc3339(updated_at),
        )
    )


_encode = msgspec.json.Encoder().encode


async def _conditions(fetch: Fetch, wanted: AccountFilter, values: Values) -> list[str] | None:
    """None where no instance can have such an account."""
    conditions = [*_own_conditions(wanted, values), _STAYS]
    if _asks_for_instances(wanted):
        instances = [key for key, seen in (await observe(fetch, wanted.window)).items() if _fits(seen, wanted)]
        if not instances:
            return None
        # As a list of ids, for which the planner has figures; it would guess wrongly about the coverage itself.
        conditions.append(f"a.instance_id = ANY({values.add(instances)}::uuid[])")
    return conditions


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


def _own_conditions(wanted: AccountFilter, values: Values) -> list[str]:
    conditions = equals(
        {
            "a.id": wanted.id,
            "a.application_id": wanted.application_id,
            "a.instance_id": wanted.instance_id,
            "a.person_id": wanted.person_id,
            "a.role": wanted.role,
            "a.vendor_id": wanted.vendor_id,
        },
        values,
    )
    unweighed = {"a.status": wanted.status, "a.seat": wanted.seat}
    conditions += [f"{name} = {values.add_unweighed(each, 'text')}" for name, each in unweighed.items() if each]
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
    years = (
        f"""coalesce((SELECT bit_count(y.days & {values.add(bits)}) FROM activity_years y
            WHERE y.application_id = a.application_id AND y.account_id = a.id AND y.year = {values.add(year)}), 0)"""
        for year, bits in masks(window).items()
    )
    return f"(CASE WHEN a.last_active_at >= {values.add(midnight(window.first))} THEN {' + '.join(years)} ELSE 0 END)"
