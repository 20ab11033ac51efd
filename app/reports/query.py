"""The one SQL statement that answers a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from app.activity.days import Span
from app.activity.keyset import Values
from app.core.database import Connection
from app.core.errors import FieldError, InvalidInput
from app.reports.columns import Catalogue, Column, Type, catalogue_of, resolved
from app.reports.conditions import Expression, condition
from app.reports.definition import span_of
from app.reports.query_accounts import Accounts
from app.reports.query_applications import Applications
from app.reports.query_people import People
from app.reports.query_windows import Windows


@dataclass(frozen=True, slots=True)
class OutColumn:
    """A column of the answer. Its PostgreSQL type: text, bigint, numeric, boolean, date, timestamptz."""

    key: str
    type: Type


@dataclass(frozen=True, slots=True)
class Question:
    """A statement with its parameters. It yields, in the report's order, c0…cn and last `subject`: the id of the person
    whom the row is about, null where it is about none.
    """

    sql: str
    values: tuple[Any, ...]
    columns: tuple[OutColumn, ...]
    window: Span


class _Source(Protocol):
    """A dataset as SQL. `identity` decides between equals, `condition` keeps out what is being deleted."""

    @property
    def identity(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def condition(self) -> str: ...

    def expression(self, column: Column) -> Expression: ...

    def tables(self) -> tuple[str, str]: ...


_CASTS: dict[Type, str] = {
    "text": "text",
    "integer": "bigint",
    "number": "numeric",
    "decimal": "numeric",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamptz",
}


async def build(connection: Connection, definition: Mapping[str, Any], at: datetime) -> Question:
    """The question that a definition asks at a time (aware). It names no row twice and reads the days once.

    definition  dataset, columns, window, filters, sort; as `definition_errors` finds nothing wrong with.
    Raises InvalidInput where a column is there no longer: a custom field that was deleted since.
    """
    catalogue = await catalogue_of(connection.fetch, definition["dataset"])
    values = Values()
    span = span_of(definition["window"], at)
    source = _source(definition, span, at, values)
    columns = [_found(catalogue, key) for key in resolved(definition["columns"])]
    shown = [
        f"({source.expression(column).shown(column)})::{_CASTS[column.type]} AS c{n}"
        for n, column in enumerate(columns)
    ]
    where = _where(catalogue, source, definition, values)
    order = _order(catalogue, source, definition.get("sort") or ())
    before, tables = source.tables()
    sql = (
        f"{before} SELECT {', '.join(shown)}, {source.subject} AS subject FROM {tables} WHERE {where} ORDER BY {order}"
    )
    return Question(sql, tuple(values), tuple(OutColumn(column.key, column.type) for column in columns), span)


async def build_count(connection: Connection, definition: Mapping[str, Any], at: datetime) -> tuple[str, list[Any]]:
    """A statement that counts the rows which `build` asks for, and its parameters."""
    catalogue = await catalogue_of(connection.fetch, definition["dataset"])
    values = Values()
    source = _source(definition, span_of(definition["window"], at), at, values)
    where = _where(catalogue, source, definition, values)
    before, tables = source.tables()
    return f"{before} SELECT count(*) FROM {tables} WHERE {where}", values


def _source(definition: Mapping[str, Any], span: Span, at: datetime, values: Values) -> _Source:
    windows = Windows(span, at.astimezone(UTC).date(), values)
    if definition["dataset"] == "applications":
        return Applications(windows, span, values)
    return People(windows, values) if definition["dataset"] == "people" else Accounts(windows, values)


def _found(catalogue: Catalogue, key: str) -> Column:
    column = catalogue.find(key)
    if column is None:
        raise InvalidInput([FieldError(f"There is no column {key!r} any more; change the report.", "#/columns")])
    return column


def _where(catalogue: Catalogue, source: _Source, definition: Mapping[str, Any], values: Values) -> str:
    conditions = [source.condition]
    for wanted in definition.get("filters") or ():
        column = _found(catalogue, wanted["field"])
        conditions.append(condition(wanted, column, source.expression(column), values))
    return " AND ".join(conditions)


def _order(catalogue: Catalogue, source: _Source, sort: Sequence[str]) -> str:
    """Nulls last in both directions."""
    keys = []
    for each in sort:
        column = _found(catalogue, each.removeprefix("-"))
        way = "DESC" if each.startswith("-") else "ASC"
        keys.append(f"{source.expression(column).sorted(column)} {way} NULLS LAST")
    return ", ".join([*keys, source.identity])
