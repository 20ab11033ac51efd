"""Lists of people with the number of their accounts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from app.activity.keyset import Key, Scalar, Selection, Slice, Values, content_of, fetch_page
from app.activity.matching import begins, equals
from app.core.database import Pool

SORTS = {"name": Key('(lower(p.name) COLLATE "C")')}


@dataclass(frozen=True, slots=True)
class PersonFilter:
    """Which people; what is None does not matter. `q` is the beginning of name, e-mail or username, case-blind."""

    id: UUID | None = None
    status: str | None = None
    role: str | None = None
    owner: str | None = None
    uploaded_by: str | None = None
    q: str | None = None


_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT p.*, {key} AS sort_key FROM people p WHERE {where} ORDER BY {order} LIMIT {limit}
    )
    SELECT p.id, p.name, p.email, p.username, p.given_name, p.family_name, p.status, p.role, p.owner, p.restrict_access,
        (
            SELECT count(*) FROM accounts a JOIN instances i ON i.id = a.instance_id
            WHERE a.person_id = p.id AND i.status <> 'deleting'
        ) AS accounts,
        p.fields, p.uploaded_by, p.created_at, p.updated_at, p.sort_key, p.id AS sort_id
    FROM page p
    ORDER BY p.sort_key {way}, p.id {way}
"""


async def list_people(pool: Pool, wanted: PersonFilter, page: Slice) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of people, each written as JSON, and the cursor's values where more follow."""
    rows, last = await fetch_page(pool.fetch, _selection(wanted), page)
    return [msgspec.json.encode(content_of(row)) for row in rows], last


async def find_person(pool: Pool, person_id: UUID) -> bytes | None:
    """One person as the list gives it, None where there is none."""
    items, _ = await list_people(pool, PersonFilter(id=person_id), Slice(1))
    return items[0] if items else None


async def count_people(pool: Pool, wanted: PersonFilter) -> int:
    selection = _selection(wanted)
    where = " AND ".join(selection.conditions) or "true"
    return int(await pool.fetchval(f"SELECT count(*) FROM people p WHERE {where}", *selection.values))


def _selection(wanted: PersonFilter) -> Selection:
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
    return Selection(_PAGE, "p.id", tuple(conditions), tuple(values))
