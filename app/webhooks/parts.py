"""Events told in order: the lists of one sync and kind, in pages that each webhook takes, numbered as it gets them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5
from itertools import groupby
from typing import Any
from uuid import UUID

from app.core.database import Connection, Record
from app.core.ids import new_id
from app.webhooks.cutting import Cutter
from app.webhooks.messages import ListedEvent

_EVENT = "SELECT type, at, data::text AS data FROM events WHERE id = $1"

# Locked, so that it is not acknowledged unseen: whoever acknowledges it later finds the pages that follow it.
_LAST = """
    SELECT page, status FROM deliveries WHERE webhook_id = $1 AND series = $2 ORDER BY page DESC LIMIT 1 FOR SHARE
"""

# A list that is longer than what gets its places at once goes on with the next.
_MORE = "UPDATE deliveries SET pages = $3 WHERE webhook_id = $1 AND series = $2"

_INSERT = """
    INSERT INTO deliveries (webhook_id, message_id, event, event_id, series, page, pages, first_row, rows,
        next_attempt_at)
    SELECT $1, p.message_id, p.event, p.event_id, $2, p.page, $3, p.first_row, p.rows,
        CASE WHEN p.is_due THEN now() END
    FROM unnest($4::uuid[], $5::text[], $6::uuid[], $7::int[], $8::int[], $9::int[], $10::boolean[])
        AS p (message_id, event, event_id, page, first_row, rows, is_due)
    ORDER BY p.page
"""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One message of a series; rows is None for a whole event."""

    message_id: UUID
    event: str
    event_id: UUID
    first_row: int | None = None
    rows: int | None = None


async def fan_out_in_order(connection: Connection, rows: Sequence[Record]) -> None:
    """Make the deliveries of such events.

    rows   ordered by webhook and place: `webhook_id`, `format`, `max_message_bytes`, `id`, `type`, `sync_id`,
           `is_page`, `is_large`.
    """
    for (webhook_id, series), group in groupby(rows, key=lambda row: (row["webhook_id"], _series(row))):
        pieces = [piece for row in group for piece in await _pieces(connection, row)]
        await _append(connection, webhook_id, series, pieces)


def _series(row: Record) -> UUID:
    """The same for all pages of one sync and kind; of any other event its own id."""
    if not row["is_page"]:
        own: UUID = row["id"]
        return own
    return UUID(bytes=md5(f"{row['sync_id']}/{row['type']}".encode(), usedforsecurity=False).digest())


async def _pieces(connection: Connection, row: Record) -> list[_Piece]:
    whole = [_Piece(row["id"], row["type"], row["id"])]
    if not row["is_large"]:
        return whole
    event = ListedEvent.of(**await _event(connection, row["id"]))
    if event is None:
        return whole
    cutter = Cutter(event.room(row["format"], row["max_message_bytes"]))
    cutter.add(event.lengths())
    parts = cutter.pages()
    if len(parts) == 1:
        return whole
    return [_Piece(new_id(), row["type"], row["id"], first, rows) for first, rows in parts]


async def _event(connection: Connection, event_id: UUID) -> dict[str, Any]:
    row = await connection.fetchrow(_EVENT, event_id)
    if row is None:
        raise RuntimeError("an event is gone in the transaction that has given its place")
    return {"type_": row["type"], "at": row["at"], "data": row["data"].encode()}


async def _append(connection: Connection, webhook_id: UUID, series: UUID, pieces: Sequence[_Piece]) -> None:
    last = await connection.fetchrow(_LAST, webhook_id, series)
    before = last["page"] if last else 0
    if last is not None:
        await connection.execute(_MORE, webhook_id, series, before + len(pieces))
    is_free = last is None or last["status"] != "pending"
    await connection.execute(
        _INSERT,
        webhook_id,
        series,
        before + len(pieces),
        [piece.message_id for piece in pieces],
        [piece.event for piece in pieces],
        [piece.event_id for piece in pieces],
        list(range(before + 1, before + len(pieces) + 1)),
        [piece.first_row for piece in pieces],
        [piece.rows for piece in pieces],
        list(_first_only(len(pieces), is_free=is_free)),
    )


def _first_only(count: int, *, is_free: bool) -> Iterator[bool]:
    return (is_free and place == 0 for place in range(count))
