"""Pages of hand-written SQL by keyset: the same cost at any depth, stable while rows are added.

Nulls stand last in both directions, so a list by a nullable key has two stretches: rows with a key in its order, then
rows without one by id. Each stretch is a range of its index.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import BadCursor

Row = Mapping[str, Any]
Fetch = Callable[..., Awaitable[Sequence[Any]]]
"""`pool.fetch`, or `fetch_in(session)`: takes a statement and its parameters, gives rows."""

Scalar = str | int | float | bool | None
_PLACE = ("sort_key", "sort_id")
_DAMAGED = "This cursor is damaged. Begin again without a cursor."


@dataclass(frozen=True, slots=True)
class Key:
    """What a list can be sorted by. `column` is an SQL expression with an index on (expression, id)."""

    column: str
    kind: Literal["text", "time"] = "text"
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """One page as asked for: sorted by `key` (None: by id, the order of creation), after the values of a cursor."""

    limit: int
    key: Key | None = None
    descending: bool = True
    after: Sequence[Scalar] | None = None


class Values(list[Any]):
    """The parameters of a statement in the making."""

    def add(self, value: Any) -> str:
        """The placeholder under which the statement finds the value."""
        self.append(value)
        return f"${len(self)}"

    def add_unweighed(self, value: Any, kind: str) -> str:
        """As `add`, for a value of which the planner shall not ask how many rows have it: it would plan the statement
        anew for each value, which costs more than the statement does.

        kind  the SQL type.
        """
        return f"(SELECT {self.add(value)}::{kind})"


@dataclass(frozen=True, slots=True)
class Selection:
    """A statement up to its conditions.

    text      has the fields {key}, {where}, {order}, {way} and {limit}; its last two columns, `sort_key` ({key}) and
              `sort_id` (the identity), tell a row's place and are no part of the answer.
    identity  the column that is the order of creation.
    read_id   from a cursor's text to a value of the identity.
    within    a column and the placeholder of the one value that it has, where an index on (column, identity) has the
              order of creation within it.
    """

    text: str
    identity: str
    conditions: tuple[str, ...]
    values: tuple[Any, ...]
    read_id: Callable[[str], Any] = UUID
    within: tuple[str, str] | None = None


async def fetch_page(fetch: Fetch, selection: Selection, wanted: Slice) -> tuple[list[Row], list[Scalar] | None]:
    """The rows of one page, and the cursor's values where more follow."""
    rows: list[Row] = []
    for condition, order, values in _stretches(selection, wanted):
        statement = selection.text.format(
            key=wanted.key.column if wanted.key else "NULL",
            where=" AND ".join((*selection.conditions, condition)),
            order=order,
            limit=wanted.limit + 1 - len(rows),
            way="DESC" if wanted.descending else "ASC",
        )
        rows += await fetch(statement, *values)
        if len(rows) > wanted.limit:
            shown = rows[: wanted.limit]
            return shown, _cursor(shown[-1])
    return rows, None


def fetch_in(session: AsyncSession) -> Fetch:
    """Fetches inside the session's transaction, so that it sees what the session has changed."""

    async def fetch(statement: str, *values: Any) -> Sequence[Any]:
        connection = await session.connection()
        return (await connection.exec_driver_sql(statement, values)).mappings().all()

    return fetch


def content_of(row: Row) -> dict[str, Any]:
    """A row as its answer."""
    content = dict(row)
    for column in _PLACE:
        del content[column]
    return content


def _stretches(selection: Selection, wanted: Slice) -> list[tuple[str, str, Values]]:
    """Condition, order and parameters of each stretch that the page may reach, in their order."""
    identity, way, key = selection.identity, "DESC" if wanted.descending else "ASC", wanted.key
    value, last_id = _place(selection, wanted)
    past = "<" if wanted.descending else ">"
    values = Values(selection.values)
    if key is None and selection.within is not None:
        return [_within(*selection.within, identity, way, past, values, last_id)]
    fixed = "true" if selection.within is None else "{} = {}".format(*selection.within)
    by_id = fixed if last_id is None else f"{fixed} AND {identity} {past} {values.add(last_id)}"
    if key is None:
        return [(by_id, f"{identity} {way}", values)]
    stretches = []
    if last_id is None or value is not None:
        own = Values(selection.values)
        known = f"{fixed} AND {key.column} IS NOT NULL" if key.nullable else fixed
        if last_id is not None:
            known = f"{fixed} AND ({key.column}, {identity}) {past} ({own.add(value)}, {own.add(last_id)})"
        stretches.append((known, f"{key.column} {way}, {identity} {way}", own))
        by_id, values = fixed, Values(selection.values)
    if key.nullable:
        stretches.append((f"{key.column} IS NULL AND {by_id}", f"{identity} {way}", values))
    return stretches


def _read_key(key: Key | None, value: Scalar) -> str | datetime | None:
    """What a cursor says of the sort key. Raises BadCursor, or ValueError for a time that is none."""
    if key is None or (key.nullable and value is None):
        return None
    if not isinstance(value, str):
        raise BadCursor(_DAMAGED)
    return datetime.fromisoformat(value) if key.kind == "time" else value


def _within(
    column: str, value: str, identity: str, way: str, past: str, values: Values, last_id: Any
) -> tuple[str, str, Values]:
    """The stretch of one value of a column. As a range and in the order of both: by equality the planner would take
    the index of the identity as well, and pass over all that is newer and has another value.
    """
    order = f"{column} {way}, {identity} {way}"
    if last_id is None:
        return f"{column} BETWEEN {value} AND {value}", order, values
    # The cursor alone bounds the side on which the page begins; another bound there would be begun at instead.
    end = ">=" if way == "DESC" else "<="
    return f"({column}, {identity}) {past} ({value}, {values.add(last_id)}) AND {column} {end} {value}", order, values


def _place(selection: Selection, wanted: Slice) -> tuple[Any, Any]:
    if wanted.after is None:
        return None, None
    try:
        value, last_id = wanted.after
        return _read_key(wanted.key, value), selection.read_id(str(last_id))
    except ValueError:
        raise BadCursor(_DAMAGED) from None


def _cursor(row: Row) -> list[Scalar]:
    key, identity = (row[column] for column in _PLACE)
    return [key.isoformat() if isinstance(key, datetime) else key, str(identity)]
