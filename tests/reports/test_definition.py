from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.activity.days import Span
from app.core.database import Database
from app.core.errors import InvalidInput
from app.reports.columns import DATASETS, catalogue_of, resolved
from app.reports.definition import definition_errors, span_of
from app.reports.query import build
from tests.reports.asking import AT, ask


@pytest.mark.parametrize(
    ("asked", "rows_carry"),
    [
        (["name"], ["name"]),
        (["days_active", "name"], ["days_active", "covered_days", "name"]),
        (["days_active:90d", "days_active"], ["days_active:90d", "covered_days:90d", "days_active", "covered_days"]),
        (["covered_days", "days_active"], ["covered_days", "days_active"]),
        (["covered_days", "days_active:9d"], ["covered_days", "days_active:9d", "covered_days:9d"]),
        (["metadata.days_active"], ["metadata.days_active"]),
    ],
)
def test_days_are_never_told_without_how_many_were_observed(asked: list[str], rows_carry: list[str]) -> None:
    assert resolved(asked) == rows_carry


@pytest.mark.parametrize(
    ("window", "at", "first", "last"),
    [
        ("1d", datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), date(2026, 1, 1)),
        ("30d", datetime(2026, 1, 10, 23, 59, tzinfo=UTC), date(2025, 12, 12), date(2026, 1, 10)),
        ("400d", datetime(2025, 1, 1, tzinfo=UTC), date(2023, 11, 29), date(2025, 1, 1)),
        ("1d", datetime.fromisoformat("2026-01-01T01:00:00+02:00"), date(2025, 12, 31), date(2025, 12, 31)),
        ({"from": "2024-02-29", "to": "2024-03-01"}, AT, date(2024, 2, 29), date(2024, 3, 1)),
    ],
)
def test_a_window_ends_with_the_utc_date_of_the_run(window: Any, at: datetime, first: date, last: date) -> None:
    assert span_of(window, at) == Span(first, last)


@pytest.mark.parametrize("dataset", DATASETS)
async def test_whatever_is_listed_can_be_shown_filtered_and_sorted_by(database: Database, dataset: str) -> None:
    operands = {"text": "x", "number": 1, "boolean": True, "datetime": "2026-11-01T10:00:00Z"}
    async with database.pool.acquire() as connection:
        catalogue = await catalogue_of(connection.fetch, dataset)  # type: ignore[arg-type]  # one of DATASETS
    keys = [*catalogue.listed]
    for start in range(0, len(keys), 50):
        assert await ask(database, dataset, keys[start : start + 50]) == []
    for key, column in catalogue.listed.items():
        operand = column.choices[0] if column.choices else operands[column.kind or "text"]
        filters = [
            {
                "field": key,
                "op": op,
                "value": True if op == "is_null" else [operand] if op in ("in", "not_in") else operand,
            }
            for op in column.operators
        ]
        definition = {"dataset": dataset, "columns": [key], "window": "30d", "filters": filters, "sort": [f"-{key}"]}
        async with database.pool.acquire() as connection:
            assert await definition_errors(connection.fetch, definition) == []
        assert await ask(database, dataset, [key], filters=filters, sort=[f"-{key}"]) == []


async def test_a_field_that_is_gone_when_a_report_runs_is_told(database: Database) -> None:
    definition = {"dataset": "people", "columns": ["name", "fields.team"], "window": "30d", "filters": [], "sort": []}
    async with database.pool.acquire() as connection:
        with pytest.raises(InvalidInput) as refused:
            await build(connection, definition, AT)
    assert "fields.team" in refused.value.errors[0].detail


async def test_the_largest_definition_is_answered(database: Database) -> None:
    """As many columns, each with a window of its own, filters and values as a definition takes."""
    moments = [f"2026-01-{day:02}T{hour:02}:00:00Z" for day in range(1, 29) for hour in range(24)]
    lists: list[tuple[str, list[Any]]] = [
        ("metadata.any", [*range(300), *map(str, range(300)), True, False]),
        ("last_active_at", [*moments, "2026-01-01"]),
        ("name", [f"name {n}" for n in range(1000)]),
        ("days_active:399d", list(range(1000))),
    ]
    filters = [{"field": field, "op": "not_in", "value": value} for field, value in lists * 12]
    columns = [f"days_active:{n}d" for n in range(1, 101)]
    for dataset, asked in (("accounts", filters), ("people", filters[1:4])):
        definition = {"dataset": dataset, "columns": columns, "window": "400d", "filters": asked, "sort": []}
        async with database.pool.acquire() as connection:
            assert await definition_errors(connection.fetch, definition) == []
        assert await ask(database, dataset, columns, window="400d", filters=asked) == []
