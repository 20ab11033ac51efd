"""Lists: limit, sort, count, and keyset cursors that only the list they came from accepts.

Two ways to use it. A list selected with SQLAlchemy: `select_page`, then `list_answer`. A list with SQL of its own:
read `page.after` (the cursor's values, None on the first page), fetch `page.limit + 1` rows, and hand `list_answer`
the items, already written as JSON, with the values of the last one where more follow.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from fastapi import Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Row, Select, SQLColumnExpression, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.resources import as_json
from app.core.errors import BadCursor, InvalidInput

Scalar = str | int | float | bool | None
Item = TypeVar("Item")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
_OWN = {"limit", "cursor", "count", "sort"}
_DIGEST = 8
_FROM_URL = bytes.maketrans(b"-_+/", b"+/??")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class ListOf(BaseModel, Generic[Item]):
    """The shape of every list, for the documentation: `response_model=ListOf[CredentialAnswer]`."""

    items: list[Item]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.", examples=[None])
    total: int | None = Field(default=None, description="How many in all; only with `count=true`.", examples=[1])


@dataclass(frozen=True, slots=True)
class Page:
    """One page as asked for.

    sort     the field's name without its minus.
    after    the cursor's values; None on the first page.
    binding  what a cursor of this list belongs to: path, filters and sort.
    query    the other query parameters, for the link to the next page.
    """

    limit: int
    count: bool
    sort: str
    descending: bool
    after: list[Scalar] | None
    binding: str
    query: tuple[tuple[str, str], ...]


def paging(*fields: str, default: str = "-created_at") -> Callable[..., Awaitable[Page]]:
    """The dependency of a list that can be sorted by these fields: `page: Annotated[Page, Depends(paging("name"))]`.

    Raises BadCursor where the cursor is damaged or was made by another list, filter or sort.
    """
    allowed = [sign + field for field in dict.fromkeys((default.lstrip("-"), *fields)) for sign in ("-", "")]

    asked = Query(
        default=default,
        description="Field to sort by; with a minus descending.",
        json_schema_extra={"enum": allowed},
    )

    async def page(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items of one page.")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
        count: Annotated[bool, Query(description="Also count them all, as `total`.")] = False,
        sort: str = asked,
    ) -> Page:
        if sort not in allowed:
            raise InvalidInput.parameter("sort", f"This list can be sorted by {', '.join(allowed)}.")
        filters = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _OWN)
        binding = f"{request.url.path}?{urlencode([*filters, ('sort', sort)])}"
        return Page(
            limit=limit,
            count=count,
            sort=sort.lstrip("-"),
            descending=sort.startswith("-"),
            after=None if cursor is None else decode_cursor(binding, cursor),
            binding=binding,
            query=tuple((k, v) for k, v in request.query_params.multi_items() if k != "cursor"),
        )

    return page


def encode_cursor(binding: str, values: Sequence[Scalar]) -> str:
    data = msgspec.json.encode(values)
    return urlsafe_b64encode(_digest(binding, data) + data).decode().rstrip("=")


def decode_cursor(binding: str, cursor: str) -> list[Scalar]:
    """The values that `encode_cursor` was given. Raises BadCursor."""
    try:
        padded = cursor.encode("ascii").translate(_FROM_URL) + b"=" * (-len(cursor) % 4)
        raw = b64decode(padded, validate=True) if "=" not in cursor else b""
    except (binascii.Error, ValueError):
        raw = b""
    digest, data = raw[:_DIGEST], raw[_DIGEST:]
    if data and digest == _digest(binding, data):
        # The digest tells damage from whole; it keeps nobody from writing a cursor of their own.
        with suppress(msgspec.DecodeError, UnicodeError):
            values = msgspec.json.decode(data, type=list[Scalar])
            if values and not any(isinstance(value, str) and _UNSTORABLE.search(value) for value in values):
                return values
    raise BadCursor(
        "This cursor is damaged, or it was made by another list, filter or sort. Begin again without a cursor."
    )


def _digest(binding: str, data: bytes) -> bytes:
    return sha256(binding.encode() + b"\0" + data).digest()[:_DIGEST]


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """One page of rows. `last` are the cursor values of the last row where more follow, else None."""

    items: list[Item]
    last: list[Scalar] | None
    total: int | None


async def select_page(
    session: AsyncSession,
    statement: Select[Item],
    page: Page,
    *,
    identity: SQLColumnExpression[UUID],
    sorts: Mapping[str, SQLColumnExpression[Any]] | None = None,
) -> Found[Item]:
    """One page of a statement that selects one entity.

    identity  the UUIDv7 column: order of creation, and what decides between equals.
    sorts     expression (never null) for each sortable field beside `created_at`; an index on (expression, id)
              should stand behind it.
    """
    total = None
    if page.count:
        total = await session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
    by = (sorts or {}).get(page.sort)
    keys = [identity] if by is None else [by, identity]
    paged = statement.add_columns(*keys)
    if page.after is not None:
        place, bound = tuple_(*keys), tuple_(*_bounds(page.after, keys))
        paged = paged.where(place < bound if page.descending else place > bound)
    paged = paged.order_by(*(key.desc() if page.descending else key.asc() for key in keys)).limit(page.limit + 1)
    rows: Sequence[Row[Any]] = (await session.execute(paged)).all()
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    last: list[Scalar] | None = [str(value) for value in tuple(shown[-1])[1:]] if more else None
    return Found([row[0] for row in shown], last, total)


def place_of(values: Sequence[Scalar], *kinds: Callable[[str], Any]) -> tuple[Any, ...]:
    """A cursor's values, each read by its kind. Raises BadCursor for more or fewer, or where one is of another kind."""
    try:
        if None not in values:
            return tuple(kind(str(value)) for kind, value in zip(kinds, values, strict=True))
    except (ValueError, OverflowError):
        pass
    raise BadCursor("This cursor is damaged. Begin again without a cursor.")


def _bounds(values: list[Scalar], keys: Sequence[SQLColumnExpression[Any]]) -> tuple[Any, ...]:
    return place_of(values, *[str] * (len(keys) - 1), UUID)


def list_answer(
    request: Request,
    page: Page,
    items: Sequence[BaseModel | bytes],
    *,
    last: Sequence[Scalar] | None,
    total: int | None = None,
) -> Response:
    """Answer a list.

    items  models, or JSON that is already written, at most `page.limit` of them.
    last   the cursor values of the last item where more follow, None on the last page.
    """
    cursor = None if last is None else encode_cursor(page.binding, last)
    body = (
        b'{"items":[' + b",".join(as_json(item) for item in items) + b'],"next_cursor":' + msgspec.json.encode(cursor)
    )
    if page.count:
        body += b',"total":' + msgspec.json.encode(total)
    headers = {}
    if cursor is not None:
        headers["Link"] = f'<{request.url.path}?{urlencode([*page.query, ("cursor", cursor)])}>; rel="next"'
    return Response(body + b"}", 200, headers, media_type="application/json")
