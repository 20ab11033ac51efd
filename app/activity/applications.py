"""Lists of applications with their entries at the vendor and the number of their seats."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec

from app.activity.keyset import Fetch, Key, Row, Scalar, Selection, Slice, Values, content_of, fetch_page
from app.activity.matching import begins, equals

SORTS = {"name": Key('(lower(p.name) COLLATE "C")')}


@dataclass(frozen=True, slots=True)
class ApplicationFilter:
    """Which applications; what is None does not matter. `q` is the beginning of the name, case-blind."""

    id: UUID | None = None
    instance_id: UUID | None = None
    kind: str | None = None
    status: str | None = None
    owner: str | None = None
    uploaded_by: str | None = None
    q: str | None = None


_FROM = "FROM applications p JOIN instances i ON i.id = p.instance_id AND i.status <> 'deleting'"

# All accounts less those without a seat: both are counted in an index alone, where the seats would be looked up in the
# table one by one.
_PAGE = (
    "WITH page AS MATERIALIZED (SELECT p.*, {key} AS sort_key "
    + _FROM
    + """ WHERE {where} ORDER BY {order} LIMIT {limit})
    SELECT p.id, p.instance_id, p.kind, p.vendor_id, p.name, p.status, p.access, p.catalog_id, p.owner, p.category,
        p.uploaded_by,
        (
            SELECT coalesce(
                json_agg(json_build_object('vendor_id', e.vendor_id, 'label', e.label)
                    ORDER BY e.label, e.vendor_id), '[]'
            )::text
            FROM application_entries e WHERE e.application_id = p.id
        ) AS labels,
        CASE WHEN p.instance_id = ANY (ARRAY(SELECT id FROM instances WHERE leaving)) THEN 0 ELSE
            (SELECT count(*) FROM accounts a WHERE a.application_id = p.id)
            - (SELECT count(*) FROM accounts a WHERE a.application_id = p.id AND a.seat = 'none')
        END AS seats,
        p.created_at, p.updated_at, p.sort_key, p.id AS sort_id
    FROM page p
    ORDER BY p.sort_key {way}, p.id {way}
"""
)


async def list_applications(
    fetch: Fetch, wanted: ApplicationFilter, page: Slice
) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of applications, each written as JSON, and the cursor's values where more follow."""
    rows, last = await fetch_page(fetch, _selection(wanted), page)
    return [_as_json(row) for row in rows], last


async def find_application(fetch: Fetch, application_id: UUID) -> bytes | None:
    """One application as the list gives it; None where there is none, or its instance is being deleted."""
    items, _ = await list_applications(fetch, ApplicationFilter(id=application_id), Slice(1))
    return items[0] if items else None


async def count_applications(fetch: Fetch, wanted: ApplicationFilter) -> int:
    selection = _selection(wanted)
    where = " AND ".join(selection.conditions) or "true"
    (row,) = await fetch(f"SELECT count(*) {_FROM} WHERE {where}", *selection.values)
    return int(row["count"])


def _as_json(row: Row) -> bytes:
    # Labels come as JSON text, which both drivers give alike.
    return msgspec.json.encode({**content_of(row), "labels": msgspec.Raw(row["labels"].encode())})


def _selection(wanted: ApplicationFilter) -> Selection:
    values = Values()
    conditions = equals(
        {
            "p.id": wanted.id,
            "p.instance_id": wanted.instance_id,
            "p.kind": wanted.kind,
            "p.status": wanted.status,
            "p.owner": wanted.owner,
            "p.uploaded_by": wanted.uploaded_by,
        },
        values,
    )
    if wanted.q:
        conditions.append(begins(("p.name",), wanted.q, values))
    return Selection(_PAGE, "p.id", tuple(conditions), tuple(values))
