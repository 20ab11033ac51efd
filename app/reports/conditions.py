"""Filters of reports as SQL: the same operators, and the same meaning, as `sync.filters` have (app/sync/filters).

Texts compare without case. What is null equals nothing, so `ne` and `not_in` hold for it. A date compares with a time
as the whole UTC date. Every value is a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from app.activity.keyset import Values
from app.connectors.manifest import FieldType
from app.reports import query_json
from app.reports.columns import Column
from app.sync.filters import COMPARISONS, TEXT_OPS

_SIGNS = {"eq": "=", **dict(zip(COMPARISONS, (">", ">=", "<", "<="), strict=True))}
_DAY_LENGTH = len("2026-11-03")
_LOOKS: tuple[FieldType, ...] = ("boolean", "number", "text")


@dataclass(frozen=True, slots=True)
class Expression:
    """Where a column's value comes from: an SQL expression of the column's type, or with `json` a member of a JSON
    column, to be read as what it is compared with.
    """

    sql: str
    json: bool = False

    def shown(self, column: Column) -> str:
        """The value as rows have it."""
        return query_json.typed(self.sql, column.type) if self.json else self.sql

    def sorted(self, column: Column) -> str:
        """What rows are ordered by: texts without case, by code point."""
        shown = self.shown(column)
        return f'lower({shown}) COLLATE "C"' if column.type == "text" else shown


def condition(wanted: Mapping[str, Any], column: Column, found: Expression, values: Values) -> str:
    """Whether a filter in which nothing is wrong holds for a row."""
    op, value = wanted["op"], wanted["value"]
    if op == "is_null":
        return _is_null(column, found) if value else f"NOT {_is_null(column, found)}"
    positive = {"ne": "eq", "not_in": "in"}.get(op, op)
    test = _test(positive, value, column, found, values)
    return test if positive == op else f"({test}) IS NOT TRUE"


def _is_null(column: Column, found: Expression) -> str:
    if found.json:
        return f"""(coalesce({found.sql}, 'null') IN ('null', '""', '[]', '{{}}'))"""
    return f"(coalesce({found.sql}, '') = '')" if column.type == "text" else f"({found.sql} IS NULL)"


def _test(op: str, value: Any, column: Column, found: Expression, values: Values) -> str:
    if not found.json:
        return _compared(op, value, column.kind, found.sql, values, dated=column.type == "date")
    if column.kind is None and op == "in":
        alike = [(kind, [item for item in value if _looks("eq", item) == kind]) for kind in _LOOKS]
        operands = [(kind, items) for kind, items in alike if items]
    else:
        operands = [(column.kind or _looks(op, value), value)]
    tests = [_compared(op, operand, kind, _read(kind, op), values) for kind, operand in operands]
    return query_json.any_item(found.sql, f"({' OR '.join(tests)})")


def _looks(op: str, value: Any) -> FieldType:
    """What the operand of a field of unknown type is compared as: as a time only by order, for equality of texts is
    equality as written.
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "datetime" if op in COMPARISONS and _is_time(value) else "text"


def _is_time(value: str) -> bool:
    try:
        return _moment(value) is not None
    except (ValueError, OverflowError):
        return False


def _read(kind: FieldType, op: str) -> str:
    if kind == "number":
        return query_json.number("{item}")
    if kind == "boolean":
        return query_json.typed("{item}", "boolean")
    return query_json.moment("{item}") if kind == "datetime" else query_json.word("{item}", op in TEXT_OPS)


def _compared(op: str, value: Any, kind: FieldType | None, sql: str, values: Values, *, dated: bool = False) -> str:
    """A test that is not true of null. `dated` where the expression is a date."""
    if kind == "number":
        return _listed_or_one(op, value, sql, "numeric", _number, values)
    if kind == "boolean":
        return _listed_or_one(op, value, sql, "boolean", bool, values)
    if kind == "datetime":
        return _time_test(op, value, sql, values, dated)
    return _text_test(op, value, f"lower({sql})", values)


def _listed_or_one(op: str, value: Any, sql: str, kind: str, read: Any, values: Values) -> str:
    if op == "in":
        return f"{sql} = ANY ({values.add([read(item) for item in value])}::{kind}[])"
    return f"{sql} {_SIGNS[op]} {values.add(read(value))}::{kind}"


def _text_test(op: str, value: Any, lowered: str, values: Values) -> str:
    if op == "in":
        return f"{lowered} IN (SELECT lower(wanted) FROM unnest({values.add(value)}::text[]) AS wanted)"
    operand = f"lower({values.add(value)}::text)"
    if op == "contains":
        return f"strpos({lowered}, {operand}) > 0"
    if op == "starts_with":
        return f"starts_with({lowered}, {operand})"
    return f'{lowered} COLLATE "C" {_SIGNS[op]} {operand} COLLATE "C"'


def _time_test(op: str, value: Any, sql: str, values: Values, dated: bool) -> str:
    """Dates compare with the UTC date, times with the time."""
    wanted = [str(item).strip() for item in (value if op == "in" else [value])]
    dates = [date.fromisoformat(item) for item in wanted if len(item) == _DAY_LENGTH]
    moments = [_moment(item) for item in wanted if len(item) != _DAY_LENGTH]
    day = sql if dated else f"({sql} AT TIME ZONE 'UTC')::date"
    moment = f"({sql}::timestamp AT TIME ZONE 'UTC')" if dated else sql
    sign = "=" if op == "in" else _SIGNS[op]
    # A list of one serves every sign: gt any of one is gt that one.
    tests = [f"{day} {sign} ANY ({values.add(dates)}::date[])"] if dates else []
    if moments:
        tests.append(f"{moment} {sign} ANY ({values.add(moments)}::timestamptz[])")
    return f"({' OR '.join(tests)})"


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _number(value: Any) -> Decimal:
    """Within what a float can say, so that no operand is beyond what PostgreSQL can hold."""
    return Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))
