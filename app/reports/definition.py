"""What a report's definition may say. Everything is checked when it is saved, so that no run fails for a typo."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from app.activity.days import LONGEST_WINDOW, WINDOW_PATTERN, Span, window
from app.activity.keyset import Fetch
from app.core.errors import FieldError
from app.reports.columns import WINDOWED, Catalogue, Column, catalogue_of
from app.sync.filters import LIST_OPS, TEXT_OPS, filter_errors

DEFAULT_WINDOW = "30d"
MOST_COLUMNS = 100
MOST_FILTERS = 50
MOST_SORTS = 10
EARLIEST = date(1970, 1, 1)
_WINDOW = re.compile(WINDOW_PATTERN)
_WINDOW_HELP = f'Type a number of days from 1d to {LONGEST_WINDOW}d, such as 30d, or {{"from", "to"}}.'


async def definition_errors(fetch: Fetch, definition: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with dataset, columns, window, filters and sort, each with its place in the body."""
    catalogue = await catalogue_of(fetch, definition["dataset"])
    return [
        *_column_errors(catalogue, definition["columns"]),
        *window_errors(definition["window"]),
        *_filter_errors(catalogue, definition["filters"]),
        *_sort_errors(catalogue, definition["sort"]),
    ]


async def output_errors(fetch: Fetch, outputs: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Webhooks that do not exist, and one output that is named twice."""
    asked = [UUID(str(output["webhook_id"])) for output in outputs if output["type"] == "webhook"]
    known = {row["id"] for row in await fetch("SELECT id FROM webhooks WHERE id = ANY($1::uuid[])", asked)}
    errors, seen = [], set()
    for number, output in enumerate(outputs):
        if output["type"] != "webhook":
            continue
        webhook_id = UUID(str(output["webhook_id"]))
        if webhook_id not in known:
            errors.append(FieldError("There is no webhook with this id.", f"#/outputs/{number}/webhook_id"))
        elif webhook_id in seen:
            errors.append(FieldError("This webhook is an output already.", f"#/outputs/{number}/webhook_id"))
        seen.add(webhook_id)
    return errors


def span_of(asked: str | Mapping[str, Any], at: datetime) -> Span:
    """The dates of a window in which `window_errors` finds nothing wrong, as a run at a time (aware) sees it."""
    if isinstance(asked, str):
        return window(int(asked.removesuffix("d")), at.astimezone(UTC).date())
    return Span(_date(asked["from"]), _date(asked["to"]))


def window_errors(asked: object, *, at: str = "#/window") -> list[FieldError]:
    if isinstance(asked, str):
        return [] if _WINDOW.fullmatch(asked) else [FieldError(_WINDOW_HELP, at)]
    if not isinstance(asked, Mapping) or set(asked) != {"from", "to"}:
        return [FieldError(_WINDOW_HELP, at)]
    try:
        span = Span(_date(asked["from"]), _date(asked["to"]))
    except (ValueError, TypeError):
        return [FieldError("Dates are written 2026-11-03.", at)]
    if span.first < EARLIEST:
        return [FieldError("Dates begin with 1970-01-01.", f"{at}/from")]
    if span.days < 1:
        return [FieldError("This must not be later than `to`.", f"{at}/from")]
    if span.days > LONGEST_WINDOW:
        return [FieldError(f"Ask for at most {LONGEST_WINDOW} dates.", f"{at}/from")]
    return []


def _date(value: date | str) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _column_errors(catalogue: Catalogue, columns: Sequence[str]) -> list[FieldError]:
    if not columns:
        return [FieldError("Ask for at least one column.", "#/columns")]
    if len(columns) > MOST_COLUMNS:
        return [FieldError(f"Ask for at most {MOST_COLUMNS} columns.", "#/columns")]
    errors = []
    for number, key in enumerate(columns):
        if catalogue.find(key) is None:
            errors.append(FieldError(_unknown(catalogue, key), f"#/columns/{number}"))
        elif key in columns[:number]:
            errors.append(FieldError("This column is there already.", f"#/columns/{number}"))
    return errors


def _sort_errors(catalogue: Catalogue, sort: Sequence[str]) -> list[FieldError]:
    if len(sort) > MOST_SORTS:
        return [FieldError(f"Sort by at most {MOST_SORTS} columns.", "#/sort")]
    errors = []
    keys = [each.removeprefix("-") for each in sort]
    for number, key in enumerate(keys):
        if catalogue.find(key) is None:
            errors.append(FieldError(_unknown(catalogue, key), f"#/sort/{number}"))
        elif key in keys[:number]:
            errors.append(FieldError("It is sorted by this already.", f"#/sort/{number}"))
    return errors


def _filter_errors(catalogue: Catalogue, filters: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    if len(filters) > MOST_FILTERS:
        return [FieldError(f"Use at most {MOST_FILTERS} filters.", "#/filters")]
    errors = []
    for number, each in enumerate(filters):
        place = f"#/filters/{number}"
        column = catalogue.find(each["field"])
        if column is None:
            errors.append(FieldError(_unknown(catalogue, each["field"]), f"{place}/field"))
        elif each["op"] not in column.operators:
            told = ", ".join(column.operators)
            errors.append(FieldError(f"{column.key} is of type {column.type}; its ops are {told}.", f"{place}/op"))
        elif problem := _value_problem(column, each["op"], each["value"]):
            errors.append(FieldError(problem, f"{place}/value"))
    return errors


def _value_problem(column: Column, op: str, value: Any) -> str | None:
    """As for the filters of syncs; a column whose values are known takes no other."""
    # A field of unknown type is a path there, whose values may be anything.
    field, types = (column.key, {column.key: column.kind}) if column.kind else ("raw.x", {})
    found = filter_errors([{"field": field, "op": op, "value": value}], types)
    if found:
        return found[0].detail
    if column.choices and op not in (*TEXT_OPS, "is_null"):
        wanted = value if op in LIST_OPS else [value]
        if any(str(item).casefold() not in column.choices for item in wanted):
            return f"{column.key} is one of {', '.join(column.choices)}."
    return None


def _unknown(catalogue: Catalogue, key: str) -> str:
    base = key.partition(":")[0]
    if base in WINDOWED and base != key and catalogue.dataset != "applications":
        return f"Windows go from 1d to {LONGEST_WINDOW}d, such as {base}:30d."
    if key.startswith("fields."):
        return f"There is no custom field {key.removeprefix('fields.')!r}; POST /v1/fields makes one."
    return (
        f"{catalogue.dataset} have no column {key[:100]!r}; GET /v1/reports/columns?dataset={catalogue.dataset} lists"
        " what there is."
    )
