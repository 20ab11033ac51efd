"""Events to pull: the messages that webhooks push, in the order in which they were committed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.api.deps import Books, Viewer
from app.api.lists import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor
from app.api.openapi import problems
from app.api.unit_of_work import Route
from app.core.database import Pool
from app.core.errors import BadCursor
from app.events.numbering import KEPT_DAYS
from app.events.publish import EventType

router = APIRouter(prefix="/v1/events", tags=["Events"], route_class=Route)

_GONE = (
    f"Events are kept for {KEPT_DAYS} days, and some behind this cursor are gone. Begin again without `after`, and read"
    " the present state from the lists."
)

# Where the stream ends now, and how it goes on behind a place ($1; null: before the oldest that is kept).
_PLACE = """
    SELECT (SELECT coalesce(max(position), 0) FROM events) AS last, n.position AS next,
        coalesce($1::bigint, n.position - 1, (SELECT max(position) FROM events), 0) AS after,
        n.at < now() - make_interval(days => $2::int) AS old
    FROM (SELECT 1) AS once LEFT JOIN LATERAL (
        SELECT position, at FROM events
        WHERE position > coalesce($1::bigint, 0)
            AND ($1::bigint IS NOT NULL OR at >= now() - make_interval(days => $2::int))
        ORDER BY position LIMIT 1
    ) n ON true
"""

_READ = """
    SELECT position, id, type, at, data::text AS data FROM events
    WHERE position > $1 AND ($2::text IS NULL OR type = $2) ORDER BY position LIMIT $3
"""


class EventAnswer(BaseModel):
    """What happened; the same message as webhooks get."""

    id: UUID = Field(description="The `webhook-id` of the message that tells it.")
    type: EventType
    timestamp: datetime
    data: dict[str, Any] = Field(
        description="Its subjects, as `webhooks` in this document says of each type.",
        examples=[{"instance_id": "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77", "instance": "PingOne production"}],
    )


class EventsAnswer(BaseModel):
    """Events, oldest first."""

    items: list[EventAnswer]
    next_cursor: str = Field(description="The `after` of the next call, also where nothing follows yet.")


@router.get("", operation_id="list_events", response_model=EventsAnswer, responses=problems(400, 410))
async def list_events(
    _caller: Viewer,
    books: Books,
    after: Annotated[str | None, Query(description="`next_cursor` of the call before; else from the oldest.")] = None,
    type_: Annotated[EventType | None, Query(alias="type", description="Only events of this type.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Events of one answer.")] = DEFAULT_LIMIT,
) -> Response:
    """Events, oldest first. Whoever goes on with `next_cursor` misses none; 410 where the cursor is too old."""
    binding = f"/v1/events?type={type_ or ''}"
    place = None if after is None else _position(decode_cursor(binding, after))
    rows, reached = await _read(books.pool, place, type_, limit)
    items = [
        {"id": row["id"], "type": row["type"], "timestamp": row["at"], "data": msgspec.Raw(row["data"].encode())}
        for row in rows
    ]
    body = msgspec.json.encode({"items": items, "next_cursor": encode_cursor(binding, [reached])})
    return Response(body, media_type="application/json")


async def _read(pool: Pool, place: int | None, type_: str | None, limit: int) -> tuple[list[Any], int]:
    """Events behind a place, and the place that has been read up to. Raises 410."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        (found,) = await connection.fetch(_PLACE, place, KEPT_DAYS)
        if place is not None and _is_gone(place, found):
            raise HTTPException(410, _GONE)
        rows = await connection.fetch(_READ, found["after"], type_, limit)
    return rows, rows[-1]["position"] if len(rows) == limit else found["last"]


def _is_gone(place: int, found: Any) -> bool:
    """Whether an event behind the place is no longer kept: places leave no gap. One beyond the end is of another
    database, which has been restored.
    """
    if found["next"] is None:
        return bool(place > found["last"])
    return bool(found["old"] or found["next"] > place + 1)


def _position(values: list[Any]) -> int:
    if len(values) == 1 and isinstance(values[0], int) and 0 <= values[0] < 2**63:
        return values[0]
    raise BadCursor("This cursor is damaged. Begin again without one.")
