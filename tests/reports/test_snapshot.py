from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.models import ReportRun
from app.reports.preview import preview
from app.sync.runtime import Runtime
from tests.api.books import Books, days_ago
from tests.reports.answering import (
    AWKWARD,
    answered,
    downloaded,
    many_seats,
    of,
    parsed,
    report,
    rows,
    seats,
)

COLUMNS = ["name", "email", "days_active", "covered_days", "last_active_at", 'metadata.odd "key"\'%s']


@pytest.fixture
def books(runtime: Runtime) -> Books:
    return Books(runtime.database)


def as_cell(value: Any) -> str:
    """What a CSV cell says of a JSON value, without the guard."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def guarded(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


async def test_csv_ndjson_and_json_say_the_same(runtime: Runtime, books: Books) -> None:
    application = await seats(books, AWKWARD, email="a@example.com")
    await books.account(application, "used", used=days_ago(1, 3), metadata={'odd "key"\'%s': "=1"})
    run = await answered(runtime, columns=COLUMNS, filters=of(application), sort=["-name"])
    assert run.status == "succeeded", run.failure
    found = await rows(runtime, run)
    assert sorted(row["name"] for row in found) == sorted([*AWKWARD, "used"])
    assert [list(row) for row in found] == [run.columns] * len(found)
    lines = (await downloaded(runtime, run, "ndjson")).decode().splitlines(keepends=False)
    assert [msgspec.json.decode(line) for line in lines] == found
    content = await downloaded(runtime, run, "csv")
    header, *cells = parsed(content)
    assert header == run.columns
    assert cells == [[guarded(as_cell(value)) for value in row.values()] for row in found]
    assert content.endswith(b"\r\n")
    assert {row["name"]: row for row in found}["used"]["days_active"] == 2


async def test_only_texts_are_guarded_and_only_in_csv(runtime: Runtime, books: Books) -> None:
    application = await seats(books, ["=1+1"], metadata={"balance": -5})
    run = await answered(runtime, columns=["name", "metadata.balance"], filters=of(application))
    assert b"'=1+1" in await downloaded(runtime, run, "csv")
    assert (await rows(runtime, run))[0]["name"] == "=1+1"
    assert b"'" not in await downloaded(runtime, run, "ndjson")


async def test_numbers_of_custom_fields_are_numbers(runtime: Runtime, books: Books) -> None:
    await runtime.database.pool.execute(
        "INSERT INTO fields (key, title, kind, type, choices) VALUES ('floor', 'Floor', 'account', 'number', '{}')"
    )
    application = await seats(books, ["Ada"], fields={"floor": 7})
    definition: dict[str, Any] = {"columns": ["fields.floor"], "filters": of(application)}
    run = await answered(runtime, **definition)
    assert (await downloaded(runtime, run, "ndjson")) == b'{"fields.floor":7}\n'
    looked = await preview(runtime.database.pool, {**definition, "dataset": "accounts", "window": "30d", "sort": []})
    assert msgspec.json.encode(looked["rows"]) == b'[{"fields.floor":7}]'


async def test_one_column_alone_keeps_its_empty_rows(runtime: Runtime, books: Books) -> None:
    application = await seats(books, ["a", "b"], email=None)
    run = await answered(runtime, columns=["email"], filters=of(application))
    assert parsed(await downloaded(runtime, run, "csv")) == [["email"], [""], [""]]


async def test_the_digest_is_of_the_ndjson_and_chunks_join_seamlessly(runtime: Runtime, books: Books) -> None:
    application = await many_seats(books, 2500)
    run = await answered(runtime, columns=["name", "email"], filters=of(application), sort=["-email"])
    content = await downloaded(runtime, run, "ndjson")
    assert run.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert run.total_rows == 2500
    found = await rows(runtime, run)
    assert [row["email"] for row in found] == sorted((row["email"] for row in found), reverse=True)
    assert len(found) == len(parsed(await downloaded(runtime, run, "csv"))) - 1 == 2500
    chunks = await runtime.database.pool.fetch(
        "SELECT number, first_row, rows, cardinality(subjects) AS subjects FROM report_chunks WHERE run_id = $1"
        " ORDER BY number", run.id,
    )  # fmt: skip
    assert [tuple(chunk) for chunk in chunks] == [(0, 0, 1000, 1000), (1, 1000, 1000, 1000), (2, 2000, 500, 500)]


async def test_subjects_are_the_people_of_the_rows(runtime: Runtime, books: Books) -> None:
    application = await seats(books, ["b", "a"])
    run = await answered(runtime, columns=["person_id"], filters=of(application), sort=["name"])
    subjects = await runtime.database.pool.fetchval("SELECT subjects FROM report_chunks WHERE run_id = $1", run.id)
    assert [str(subject) for subject in subjects] == [row["person_id"] for row in await rows(runtime, run)]


async def test_rows_stay_as_they_were(runtime: Runtime, books: Books) -> None:
    application = await seats(books, ["Ada"])
    asked = await report(runtime, columns=["name"], filters=of(application))
    run = await answered(runtime, asked)
    before = await downloaded(runtime, run, "csv")
    await runtime.database.pool.execute("UPDATE accounts SET name = 'Eve' WHERE application_id = $1", application)
    assert await downloaded(runtime, run, "csv") == before
    later = await answered(runtime, asked)
    assert (await rows(runtime, later), later.digest != run.digest) == ([{"name": "Eve"}], True)


async def test_a_report_of_nothing_has_a_header_and_no_rows(runtime: Runtime, books: Books) -> None:
    application = await seats(books, [])
    run = await answered(runtime, columns=["name", "days_active"], filters=of(application))
    assert (run.status, run.total_rows, run.columns) == ("succeeded", 0, ["name", "days_active", "covered_days"])
    assert run.digest == f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert await downloaded(runtime, run, "csv") == b"name,days_active,covered_days\r\n"
    assert await downloaded(runtime, run, "ndjson") == b""
    assert await rows(runtime, run) == []


async def test_times_are_utc_whatever_the_server_thinks(runtime: Runtime, books: Books) -> None:
    whole, part = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 670000, tzinfo=UTC)
    application = await seats(books, ["whole"], last_active_at=whole)
    await books.account(application, "part", last_active_at=part)
    name = await runtime.database.pool.fetchval("SELECT current_database()")
    await runtime.database.pool.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    await runtime.database.pool.execute(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'")
    try:
        run = await answered(runtime, columns=["last_active_at"], filters=of(application), sort=["-name"])
    finally:
        await runtime.database.pool.execute(f"ALTER DATABASE {name} RESET ALL")
    found = [row["last_active_at"] for row in await rows(runtime, run)]
    assert found == ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.670000Z"]


async def test_a_run_knows_its_window_and_how_far_use_is_known(runtime: Runtime, books: Books) -> None:
    run: ReportRun = await answered(runtime, filters=of(await seats(books, ["Ada"])), window="7d")
    assert run.as_of is not None
    assert run.window == {"from": days_ago(6)[0].isoformat(), "to": days_ago(0)[0].isoformat()}
    assert run.covered_until is not None


async def test_a_hundred_columns_are_not_too_many(runtime: Runtime, books: Books) -> None:
    application = await seats(books, ["Ada"], metadata={f"k{n}": n for n in range(100)})
    run = await answered(runtime, columns=[f"metadata.k{n}" for n in range(100)], filters=of(application))
    assert [str(value) for value in (await rows(runtime, run))[0].values()] == [str(n) for n in range(100)]
    assert len(parsed(await downloaded(runtime, run, "csv"))[1]) == 100
