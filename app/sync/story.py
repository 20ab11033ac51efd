"""What is told of syncs: the runs themselves, what they changed, what they could not use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from app.activity.keyset import Row, Scalar, Selection, Slice, Values, content_of, fetch_page
from app.activity.matching import equals
from app.core.database import Pool
from app.models import Sync
from app.sync.tally import empty_counters, empty_progress

Written = tuple[list[bytes], list[Scalar] | None]

COLUMNS = (
    "id", "instance_id", "status", "trigger", "scheduled_for", "missed_fires", "started_at", "finished_at", "progress",
    "counters", "failure", "waiting", "vendor_calls", "throttled_seconds", "held_plan_id", "created_at", "updated_at",
)  # fmt: skip
_FAILURE: dict[str, Any] = dict.fromkeys(
    ("code", "detail", "retryable", "stream", "request", "vendor_status", "vendor_code")
)

_SYNCS = f"""
    SELECT {", ".join(f"s.{column}" for column in COLUMNS)}, {{key}} AS sort_key, s.id AS sort_id
    FROM syncs s WHERE {{where}} ORDER BY {{order}} LIMIT {{limit}}
"""
_CHANGES = """
    SELECT h.kind, h.object_id AS id, h.name, h.action, h.before, h.after, {key} AS sort_key, h.id AS sort_id
    FROM history h WHERE {where} ORDER BY {order} LIMIT {limit}
"""
_ERRORS = """
    SELECT e.stream, e.vendor_id, e.code, e.detail, {key} AS sort_key, e.id AS sort_id
    FROM sync_errors e WHERE {where} ORDER BY {order} LIMIT {limit}
"""


@dataclass(frozen=True, slots=True)
class SyncFilter:
    """Which syncs; what is None does not matter."""

    id: UUID | None = None
    instance_id: UUID | None = None
    status: str | None = None
    trigger: str | None = None


def sync_as_json(sync: Sync | Mapping[str, Any]) -> bytes:
    """A sync as it is shown, on one line: all four streams and all counters, also those not begun."""
    row = sync if isinstance(sync, Mapping) else {column: getattr(sync, column) for column in COLUMNS}
    failure = row["failure"]
    shown = {
        **row,
        "progress": {**empty_progress(), **row["progress"]},
        "counters": {**empty_counters(), **row["counters"]},
        "failure": None if failure is None else {**_FAILURE, **failure},
    }
    return msgspec.json.encode(shown)


async def list_syncs(pool: Pool, wanted: SyncFilter, page: Slice) -> Written:
    """One page of syncs, each written as JSON, and the cursor's values where more follow."""
    rows, last = await fetch_page(pool.fetch, _selection(wanted), page)
    return [sync_as_json(content_of(row)) for row in rows], last


async def find_sync(pool: Pool, sync_id: UUID) -> bytes | None:
    items, _ = await list_syncs(pool, SyncFilter(id=sync_id), Slice(1))
    return items[0] if items else None


async def count_syncs(pool: Pool, wanted: SyncFilter) -> int:
    return await _count(pool, "syncs s", _selection(wanted))


async def list_changes(pool: Pool, sync_id: UUID, page: Slice, *, kind: str | None, action: str | None) -> Written:
    """One page of what a sync changed, and the cursor's values where more follow."""
    rows, last = await fetch_page(pool.fetch, _changes(sync_id, kind, action), page)
    return [_encoded(row) for row in rows], last


async def count_changes(pool: Pool, sync_id: UUID, *, kind: str | None, action: str | None) -> int:
    return await _count(pool, "history h", _changes(sync_id, kind, action))


async def list_errors(pool: Pool, sync_id: UUID, page: Slice) -> Written:
    """One page of what a sync could not use, and the cursor's values where more follow."""
    rows, last = await fetch_page(pool.fetch, _errors(sync_id), page)
    return [_encoded(row) for row in rows], last


async def count_errors(pool: Pool, sync_id: UUID) -> int:
    return await _count(pool, "sync_errors e", _errors(sync_id))


def _selection(wanted: SyncFilter) -> Selection:
    values = Values()
    columns = {
        "s.id": wanted.id,
        "s.instance_id": wanted.instance_id,
        "s.status": wanted.status,
        "s.trigger": wanted.trigger,
    }
    conditions = equals(columns, values)
    return Selection(_SYNCS, "s.id", tuple(conditions), tuple(values))


def _changes(sync_id: UUID, kind: str | None, action: str | None) -> Selection:
    values = Values()
    conditions = equals({"h.sync_id": sync_id, "h.kind": kind, "h.action": action}, values)
    return Selection(_CHANGES, "h.id", tuple(conditions), tuple(values), int)


def _errors(sync_id: UUID) -> Selection:
    return Selection(_ERRORS, "e.id", ("e.sync_id = $1",), (sync_id,), int)


async def _count(pool: Pool, table: str, selection: Selection) -> int:
    where = " AND ".join(selection.conditions) or "true"
    return int(await pool.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", *selection.values))


def _encoded(row: Row) -> bytes:
    return msgspec.json.encode(content_of(row))
