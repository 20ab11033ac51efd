"""What is told of syncs: the runs themselves, what they changed, what they could not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.activity.keyset import Fetch, Row, Scalar, Selection, Slice, Values, content_of, fetch_page
from app.activity.matching import equals
from app.activity.written import rfc3339
from app.models import Sync
from app.sync.tally import empty_counters, empty_progress

Written = tuple[list[bytes], list[Scalar] | None]

_FAILURE: dict[str, Any] = dict.fromkeys(
    ("code", "detail", "retryable", "stream", "request", "vendor_status", "vendor_code")
)

# In the order of `_Shown`; ids, times and JSON as text, to be put into the answer as they are.
_SYNCS = """
    SELECT s.id::text, s.instance_id::text, s.status, s.trigger, s.scheduled_for::text, s.missed_fires,
        s.started_at::text, s.finished_at::text, s.progress::text, s.counters::text, s.failure, s.waiting,
        s.vendor_calls, s.throttled_seconds, s.held_plan_id::text, s.created_at::text, s.updated_at::text,
        {key} AS sort_key, s.id AS sort_id
    FROM syncs s WHERE {where} ORDER BY {order} LIMIT {limit}
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


class _Shown(msgspec.Struct, frozen=True):
    """A sync as it is shown; `SyncAnswer` describes the same members. Times are written as JSON has them, or times."""

    id: str | UUID
    instance_id: str | UUID
    status: str
    trigger: str
    scheduled_for: str | datetime | None
    missed_fires: int
    started_at: str | datetime | None
    finished_at: str | datetime | None
    progress: msgspec.Struct
    counters: msgspec.Struct
    failure: dict[str, Any] | None
    waiting: dict[str, Any] | None
    vendor_calls: int
    throttled_seconds: float
    held_plan_id: str | UUID | None
    created_at: str | datetime | None
    updated_at: str | datetime | None


_encode = msgspec.json.Encoder().encode


def _reader(name: str, empty: Mapping[str, Any]) -> Callable[[bytes | str], msgspec.Struct]:
    """Of an object some of whose members may be missing: its members in their order, as they are written."""
    shape = msgspec.defstruct(name, [(key, msgspec.Raw, msgspec.Raw(_encode(value))) for key, value in empty.items()])
    decoder = msgspec.json.Decoder(shape)
    return lambda text: decoder.decode(msgspec.json.format(text, indent=-1))


_progress, _counters = _reader("Progress", empty_progress()), _reader("Counters", empty_counters())


def _failure(failure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if failure is None else {**_FAILURE, **failure}


_TIMES = [at for at, name in enumerate(_Shown.__struct_fields__) if name.endswith("_at") or name == "scheduled_for"]
_READERS = [
    (_Shown.__struct_fields__.index(name), read)
    for name, read in (("progress", _progress), ("counters", _counters), ("failure", _failure))
]


def sync_as_json(sync: Sync) -> bytes:
    """A sync as it is shown, on one line: all four streams and all counters, also those not begun."""
    row = {column: getattr(sync, column) for column in _Shown.__struct_fields__}
    return _written([*{**row, "progress": _encode(sync.progress), "counters": _encode(sync.counters)}.values()])


def _as_json(row: Row) -> bytes:
    *columns, _sort_key, _sort_id = row.values()
    for at in _TIMES:
        columns[at] = rfc3339(columns[at])
    return _written(columns)


def _written(columns: list[Any]) -> bytes:
    """Of the columns of `_Shown`, with progress and counters as JSON."""
    for at, read in _READERS:
        columns[at] = read(columns[at])
    return _encode(_Shown(*columns))


async def list_syncs(fetch: Fetch, wanted: SyncFilter, page: Slice) -> Written:
    """One page of syncs, each written as JSON, and the cursor's values where more follow."""
    rows, last = await fetch_page(fetch, _selection(wanted), page)
    return [_as_json(row) for row in rows], last


async def find_sync(fetch: Fetch, sync_id: UUID) -> bytes | None:
    items, _ = await list_syncs(fetch, SyncFilter(id=sync_id), Slice(1))
    return items[0] if items else None


async def count_syncs(fetch: Fetch, wanted: SyncFilter) -> int:
    return await _count(fetch, "syncs s", _selection(wanted))


async def list_changes(fetch: Fetch, sync_id: UUID, page: Slice, *, kind: str | None, action: str | None) -> Written:
    """One page of what a sync changed, and the cursor's values where more follow."""
    rows, last = await fetch_page(fetch, _changes(sync_id, kind, action), page)
    return [_encoded(row) for row in rows], last


async def count_changes(fetch: Fetch, sync_id: UUID, *, kind: str | None, action: str | None) -> int:
    return await _count(fetch, "history h", _changes(sync_id, kind, action))


async def list_errors(fetch: Fetch, sync_id: UUID, page: Slice) -> Written:
    """One page of what a sync could not use, and the cursor's values where more follow."""
    rows, last = await fetch_page(fetch, _errors(sync_id), page)
    return [_encoded(row) for row in rows], last


async def count_errors(fetch: Fetch, sync_id: UUID) -> int:
    return await _count(fetch, "sync_errors e", _errors(sync_id))


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


async def _count(fetch: Fetch, table: str, selection: Selection) -> int:
    where = " AND ".join(selection.conditions) or "true"
    (row,) = await fetch(f"SELECT count(*) FROM {table} WHERE {where}", *selection.values)
    return int(row["count"])


def _encoded(row: Row) -> bytes:
    return msgspec.json.encode(content_of(row))
