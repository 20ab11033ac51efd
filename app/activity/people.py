"""Lists of people with the number of their accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.activity.as_of import people_then
from app.activity.keyset import Fetch, Key, Row, Scalar, Selection, Slice, Values, fetch_page
from app.activity.matching import begins, equals
from app.activity.written import rfc3339

SORTS = {"name": Key('(lower(p.name) COLLATE "C")')}


@dataclass(frozen=True, slots=True)
class PersonFilter:
    """Which people; what is None does not matter. `q` is the beginning of name, e-mail or username, case-blind;
    `as_of` the time whose knowledge answers (see as_of.py).
    """

    id: UUID | None = None
    status: str | None = None
    role: str | None = None
    owner: str | None = None
    uploaded_by: str | None = None
    q: str | None = None
    as_of: datetime | None = None


# All accounts less those of instances that are leaving: the former are counted in an index alone. In the order of
# `_Person`; ids and times as text, to be put into the answer as they are.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT p.*, {key} AS sort_key FROM people p WHERE {where} ORDER BY {order} LIMIT {limit}
    )
    SELECT p.id::text, p.name, p.email, p.username, p.given_name, p.family_name, p.status, p.role, p.owner,
        p.restrict_access,
        (SELECT count(*) FROM accounts a WHERE a.person_id = p.id)
        - CASE WHEN EXISTS (SELECT FROM instances WHERE leaving OR status = 'deleting') THEN (
            SELECT count(*) FROM accounts a WHERE a.person_id = p.id
                AND a.instance_id = ANY (ARRAY(SELECT id FROM instances WHERE leaving OR status = 'deleting'))
        ) ELSE 0 END AS accounts,
        p.fields, p.uploaded_by, p.created_at::text, p.updated_at::text, p.sort_key, p.id AS sort_id
    FROM page p
    ORDER BY p.sort_key {way}, p.id {way}
"""


class _Person(msgspec.Struct, frozen=True):
    """A person as shown; `PersonAnswer` describes the same members. Times are written as JSON has them."""

    id: str
    name: str
    email: str | None
    username: str | None
    given_name: str | None
    family_name: str | None
    status: str
    role: str | None
    owner: str | None
    restrict_access: bool
    accounts: int
    fields: dict[str, Any]
    uploaded_by: str | None
    created_at: str | None
    updated_at: str | None


_OWN = "a.person_id = p.id"
_COUNT = "SELECT count(*) FROM people p WHERE {where}"


async def list_people(fetch: Fetch, wanted: PersonFilter, page: Slice) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of people, each written as JSON, and the cursor's values where more follow."""
    rows, last = await fetch_page(fetch, _selection(wanted, _PAGE), page)
    return [_as_json(row) for row in rows], last


async def find_person(fetch: Fetch, person_id: UUID, as_of: datetime | None = None) -> bytes | None:
    """One person as the list gives it, None where there is none (then)."""
    items, _ = await list_people(fetch, PersonFilter(id=person_id, as_of=as_of), Slice(1))
    return items[0] if items else None


async def count_people(fetch: Fetch, wanted: PersonFilter) -> int:
    selection = _selection(wanted, _COUNT)
    where = " AND ".join(selection.conditions) or "true"
    (row,) = await fetch(selection.text.format(where=where), *selection.values)
    return int(row["count"])


def _as_json(row: Row) -> bytes:
    *shown, created_at, updated_at, _sort_key, _sort_id = row.values()
    shown += rfc3339(created_at), rfc3339(updated_at)
    return _encode(_Person(*shown))


_encode = msgspec.json.Encoder().encode


def _selection(wanted: PersonFilter, text: str) -> Selection:
    """`text` names the table as `FROM people p`."""
    values = Values()
    conditions = equals(
        {
            "p.id": wanted.id,
            "p.status": wanted.status,
            "p.role": wanted.role,
            "p.owner": wanted.owner,
            "p.uploaded_by": wanted.uploaded_by,
        },
        values,
    )
    if wanted.q:
        conditions.append(begins(("p.name", "p.email", "p.username"), wanted.q, values))
    if wanted.as_of is not None:
        then = people_then(wanted.as_of, values, id=wanted.id)
        text = text.replace("FROM people p", f"FROM {then} p")
        if _OWN in text:
            text = text.replace(_OWN, f"{_OWN} AND a.created_at <= {values.add(wanted.as_of)}")
    return Selection(text, "p.id", tuple(conditions), tuple(values))
