"""What PostgreSQL does with the statements: nothing is looked up row by row, and the days are read once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio

from app.core.database import Database
from app.reports.query import build
from tests.api.books import Books
from tests.reports.asking import AT

ACCOUNTS = 50_000
FEW = 1_000
# Its rows, one for each instance, are at hand.
AT_HAND = {"CTE Scan"}

_PEOPLE = "INSERT INTO people (name, email) SELECT 'P' || n, 'p' || n || '@x' FROM generate_series(1, $1::int / 5) n"
_ACCOUNTS = """
    INSERT INTO accounts
        (instance_id, application_id, vendor_id, person_id, name, seat, status, last_active_at, metadata)
    SELECT a.instance_id, a.id, p.name, p.id, p.name, 'assigned', 'active', $1, '{"status": "ACTIVE"}'
    FROM applications a CROSS JOIN people p
"""
_YEARS = """
    INSERT INTO activity_years (application_id, account_id, year, last_day, days)
    SELECT a.application_id, a.id, y, make_date(y, 12, 31), repeat('01', 183)::bit(366)
    FROM accounts a CROSS JOIN generate_series(2025, 2026) y
"""
_COVERAGE = """
    INSERT INTO coverage_years (instance_id, year, days)
    SELECT i.id, y, repeat('1', 366)::bit(366) FROM instances i CROSS JOIN generate_series(2025, 2026) y
"""


@pytest_asyncio.fixture(scope="module", autouse=True)
async def many(database: Database) -> None:
    books = Books(database)
    for number in range(5):
        await books.application(await books.instance(f"I{number}"), f"A{number}")
    await database.pool.execute(_PEOPLE, ACCOUNTS)
    await database.pool.execute(_ACCOUNTS, AT)
    await database.pool.execute(_YEARS)
    await database.pool.execute(_COVERAGE)
    await database.pool.execute("ANALYZE")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


@pytest.mark.parametrize(
    ("dataset", "columns", "filters", "most_reads"),
    [
        ("accounts", ["name", "email", "application", "days_active", "last_active_at"], [], 1),
        ("accounts", ["name", "days_active:7d", "days_active:30d", "usage:90d", "days_active:400d"], [], 1),
        ("accounts", ["name", "metadata.status", "isc_source_id"], [("usage:90d", "eq", "unused")], 1),
        ("accounts", ["name"], [("metadata.status", "in", ["active", "locked"]), ("days_active", "gt", 3)], 1),
        ("accounts", ["name", "status"], [], 0),
        ("people", ["name", "accounts", "applications", "days_active:30d", "days_active:400d", "usage"], [], 1),
        ("people", ["name"], [("usage", "ne", "used")], 1),
    ],
)
async def test_no_row_is_looked_up_alone(
    database: Database, dataset: str, columns: list[str], filters: list[tuple[str, str, Any]], most_reads: int
) -> None:
    asked = [dict(zip(("field", "op", "value"), each, strict=True)) for each in filters]
    definition = {"dataset": dataset, "columns": columns, "window": "30d", "filters": asked, "sort": ["name"]}
    async with database.pool.acquire() as connection:
        question = await build(connection, definition, AT)
        explained = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {question.sql}"
        found = json.loads(await connection.fetchval(explained, *question.values))[0]["Plan"]
    each_row = [node["Node Type"] for node in nodes(found) if node["Actual Loops"] > FEW]
    assert set(each_row) <= AT_HAND
    reads = [node for node in nodes(found) if node.get("Relation Name") == "activity_years"]
    assert len(reads) == most_reads
