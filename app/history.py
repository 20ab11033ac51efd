"""What happened to one account or person, change by change."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from app.activity.keyset import Scalar, Selection, Slice, content_of, fetch_page
from app.core.database import Pool

Kind = Literal["accounts", "people"]

_CHANGES = """
    SELECT h.at, h.action, h.before, h.after, h.sync_id, h.actor, {key} AS sort_key, h.id AS sort_id
    FROM history h WHERE {where} ORDER BY {order} LIMIT {limit}
"""
_CONDITIONS = ("h.object_id = $1", "h.kind = $2")


async def list_history(pool: Pool, kind: Kind, object_id: UUID, page: Slice) -> tuple[list[bytes], list[Scalar] | None]:
    """One page of changes, each written as JSON, and the cursor's values where more follow."""
    selection = Selection(_CHANGES, "h.id", _CONDITIONS, (object_id, kind), int)
    rows, last = await fetch_page(pool.fetch, selection, page)
    return [msgspec.json.encode(content_of(row)) for row in rows], last


async def count_history(pool: Pool, kind: Kind, object_id: UUID) -> int:
    where = " AND ".join(_CONDITIONS)
    return int(await pool.fetchval(f"SELECT count(*) FROM history h WHERE {where}", object_id, kind))
