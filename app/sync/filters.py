"""Which of a vendor's users an instance takes: `sync.filters`, all of which must hold. Pure.

A filter is `{"field", "op", "value"}`. Texts compare without case, times as times, numbers as numbers. A field that the
record lacks equals nothing, so `ne` and `not_in` hold for it. Of a field with several values any may match.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from app.connectors.contract import User
from app.connectors.manifest import FieldType
from app.core.errors import FieldError
from app.sync.sources import Read, decode_raw, is_path, needs_raw, reader

Filter = Mapping[str, Any]
Predicate = Callable[[User], bool]
Test = Callable[[Any], bool]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip
TEXT_OPS = ("contains", "starts_with")
LIST_OPS = ("in", "not_in")
OPS = ("eq", "ne", *LIST_OPS, *TEXT_OPS, *COMPARISONS, "is_null")
MOST_VALUES = 1000


def compile_filters(filters: Sequence[Filter], types: Mapping[str, FieldType]) -> Predicate:
    """One test for a user, from filters in which `filter_errors` finds nothing wrong.

    types  the type of each source field of the connector.
    """
    tests = [(reader(f["field"]), _test(f["op"], f["value"], types.get(f["field"]))) for f in filters]
    wants_raw = any(needs_raw(f["field"]) for f in filters)

    def passes(user: User) -> bool:
        raw = decode_raw(user) if wants_raw else None
        return all(_holds(read, test, user, raw) for read, test in tests)

    return passes


def filter_errors(
    filters: Sequence[Filter], types: Mapping[str, FieldType], *, at: str = "#/sync/filters"
) -> list[FieldError]:
    """What is wrong with the filters, each with its place."""
    errors: list[FieldError] = []
    for number, each in enumerate(filters):
        problems = _problems(each.get("field"), each.get("op"), each.get("value"), types)
        errors += [FieldError(text, pointer=f"{at}/{number}/{member}") for member, text in problems.items()]
    return errors


def _holds(read: Read, test: Test, user: User, raw: Any) -> bool:
    return test(read(user, raw))


def _problems(field: object, op: object, value: object, types: Mapping[str, FieldType]) -> dict[str, str]:
    problems = {}
    if not isinstance(field, str) or (field not in types and not is_path(field)):
        problems["field"] = f"There is no field {field!r}. Fields are {', '.join(types)}, and raw.<path>."
    if op not in OPS:
        problems["op"] = f"An op is one of {', '.join(OPS)}."
    if problems:
        return problems
    problem = _value_problem(str(op), value, types.get(str(field)))
    return {"value": problem} if problem else {}


def _value_problem(op: str, value: object, kind: FieldType | None) -> str | None:
    if op == "is_null":
        return None if isinstance(value, bool) else "is_null takes true or false."
    if op in TEXT_OPS:
        return None if isinstance(value, str) and value else f"{op} takes a text."
    if op in LIST_OPS:
        if not isinstance(value, list) or not 0 < len(value) <= MOST_VALUES:
            return f"{op} takes a list of 1 to {MOST_VALUES} values."
        return next((problem for item in value if (problem := _operand_problem(item, kind))), None)
    if op in COMPARISONS and (kind == "boolean" or isinstance(value, bool)):
        return f"{op} compares texts, numbers and times, not true and false."
    return _operand_problem(value, kind)


def _operand_problem(value: object, kind: FieldType | None) -> str | None:
    if value is None:
        return "Use the op is_null to ask for null."
    if kind == "boolean":
        return None if isinstance(value, bool) else "This field is true or false."
    if kind == "number":
        return None if _number(value) is not None else "This field is a number."
    if kind == "datetime":
        return (
            None if _moment(value) is not None else "This field is a time, such as 2026-11-03 or 2026-11-03T09:30:00Z."
        )
    if kind == "text":
        return None if isinstance(value, str) else "This field is a text."
    return None if isinstance(value, str | int | float) else "A value is a text, a number, true or false."


def _test(op: str, value: Any, kind: FieldType | None) -> Test:
    if op == "is_null":
        return lambda found: _is_null(found) is value
    if op in ("ne", "not_in"):
        equal = _test("eq" if op == "ne" else "in", value, kind)
        return lambda found: not equal(found)
    if op == "in":
        return _any_of([_comparison(operator.eq, item, kind) for item in value])
    if op == "contains":
        return _any_of([_text_test(operator.contains, value)])
    if op == "starts_with":
        return _any_of([_text_test(str.startswith, value)])
    return _any_of([_comparison(COMPARISONS.get(op, operator.eq), value, kind)])


def _any_of(tests: Sequence[Test]) -> Test:
    """Holds where any test does, of any item where the field is a list."""

    def test(found: Any) -> bool:
        items = found if isinstance(found, list) else [found]
        return any(each(item) for item in items if not _is_null(item) for each in tests)

    return test


def _text_test(matches: Callable[[str, str], bool], value: str) -> Test:
    wanted = value.casefold()
    return lambda found: isinstance(found, str) and matches(found.casefold(), wanted)


def _comparison(compare: Callable[[Any, Any], bool], value: Any, kind: FieldType | None) -> Test:
    """Compares as what the operand is; a value of the record that cannot be read so does not match."""
    if isinstance(value, bool):
        return lambda found: found is value
    if kind == "number" or isinstance(value, int | float):
        return _as(_number, compare, _number(value))
    # A field of unknown type is compared as a time only by order: equality of texts is equality as written.
    if kind == "datetime" or (kind is None and compare is not operator.eq and _moment(value) is not None):
        return _as(_day if _is_day(value) else _moment, compare, _day(value) if _is_day(value) else _moment(value))
    return _as(_folded, compare, _folded(value))


def _as(read: Callable[[Any], Any], compare: Callable[[Any, Any], bool], wanted: Any) -> Test:
    def test(found: Any) -> bool:
        value = read(found)
        return value is not None and compare(value, wanted)

    return test


def _is_null(found: object) -> bool:
    return found is None or found in ("", [], {})


def _folded(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).casefold() if isinstance(value, str | int | float) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_day(value: object) -> bool:
    return isinstance(value, str) and len(value.strip()) == len("2026-11-03")


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _day(value: object) -> date | None:
    moment = _moment(value)
    return moment.date() if moment else None
