"""Figures of use against a count by hand, over windows that cross the ends of years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.database import Database
from tests.api.books import Books
from tests.reports.asking import AT, Facts, ask, random_world, span, told

WINDOWS: list[str | Mapping[str, str]] = [
    "1d", "2d", "9d", "10d", "11d", "30d", "90d", "365d", "366d", "376d", "400d",
    {"from": "2023-12-15", "to": "2024-03-01"},
    {"from": "2024-02-29", "to": "2024-02-29"},
    {"from": "2024-12-31", "to": "2025-01-01"},
    {"from": "2024-12-10", "to": "2026-01-10"},
    {"from": "2025-12-25", "to": "2026-01-20"},
    {"from": "2026-01-11", "to": "2026-01-20"},
    {"from": "1970-01-01", "to": "1970-01-31"},
    *({"from": f"2025-11-{day}", "to": f"2025-12-{day}"} for day in range(10, 20)),
]  # fmt: skip
USE = ("days_active", "covered_days", "usage")
SEVERAL = ("1d", "30d", "200d", "400d")


@pytest_asyncio.fixture(scope="module")
async def facts(database: Database) -> Facts:
    return await random_world(database, 7)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
async def test_the_use_of_accounts(database: Database, facts: Facts, window: str | Mapping[str, str]) -> None:
    rows = await ask(database, "accounts", ["account_id", *USE], window=window)
    counted = {
        str(account): told(used, facts.covered[facts.instance[account]], span(window))
        for account, used in facts.used.items()
        if facts.instance[account] in facts.covered
    }
    assert {row["account_id"]: {key: row[key] for key in USE} for row in rows} == counted
    assert len(rows) == len(counted) > 10


@pytest.mark.parametrize("window", WINDOWS, ids=str)
async def test_the_use_of_people(database: Database, facts: Facts, window: str | Mapping[str, str]) -> None:
    rows = await ask(database, "people", ["person_id", *USE], window=window)
    found = {UUID(row["person_id"]): {key: row[key] for key in USE} for row in rows}
    assert {person: found[person] for person in set(facts.person.values())} == {
        person: _told_of_person(facts, person, span(window)) for person in set(facts.person.values())
    }


def _told_of_person(facts: Facts, person: UUID, dates: Sequence[date]) -> dict[str, Any]:
    """As of an account, but that days which any of them shows are told where the others were not observed."""
    used, covered = _of_person(facts, person)
    return told(used, covered, dates) | ({"days_active": days} if (days := len(used & set(dates))) else {})


async def test_several_windows_stand_beside_each_other(database: Database, facts: Facts) -> None:
    columns = [f"{key}:{window}" for window in SEVERAL for key in USE]
    fixed = {"from": "2024-02-01", "to": "2024-03-05"}
    rows = await ask(database, "accounts", ["account_id", "usage", *columns], window=fixed)
    for row in rows:
        account = UUID(row["account_id"])
        used, covered = facts.used[account], facts.covered[facts.instance[account]]
        assert row["usage"] == told(used, covered, span(fixed))["usage"]
        for window in SEVERAL:
            assert {key: row[f"{key}:{window}"] for key in USE} == told(used, covered, span(window))
    people = await ask(database, "people", ["person_id", *columns])
    for row in people:
        for window in SEVERAL:
            wanted = _told_of_person(facts, UUID(row["person_id"]), span(window))
            assert {key: row[f"{key}:{window}"] for key in USE} == wanted


@pytest.mark.parametrize("window", WINDOWS, ids=str)
async def test_the_seats_of_applications(database: Database, facts: Facts, window: Any) -> None:
    keys = ("accounts", "used", "unused", "unknown")
    rows = await ask(database, "applications", ["application_id", "covered_days", *keys], window=window)
    for row in rows:
        usages = [
            told(used, facts.covered[facts.instance[account]], span(window))["usage"]
            for account, used in facts.used.items()
            if str(facts.application[account]) == row["application_id"]
            and facts.seat[account] != "none"
            and facts.instance[account] in facts.covered
        ]
        counts = {usage: usages.count(usage) for usage in ("used", "unused", "unknown")}
        assert {key: row[key] for key in keys} == {"accounts": len(usages), **counts}
        assert row["subject"] is None


async def test_filters_and_sort_see_the_same_figures(database: Database, facts: Facts) -> None:
    everyone = await ask(database, "accounts", ["account_id", "days_active:90d", "usage:400d"])
    few = await ask(
        database, "accounts", ["account_id"],
        filters=[
            {"field": "days_active:90d", "op": "gte", "value": 3},
            {"field": "usage:400d", "op": "in", "value": ["used"]},
        ],
        sort=["-days_active:90d"],
    )  # fmt: skip
    wanted = [row for row in everyone if (row["days_active:90d"] or 0) >= 3 and row["usage:400d"] == "used"]
    wanted.sort(key=lambda row: -row["days_active:90d"])
    assert [row["account_id"] for row in few] == [row["account_id"] for row in wanted]
    assert wanted


async def test_today_is_the_day_of_the_run(database: Database) -> None:
    """A date that is today may be half read; the same date, once past, must be covered like any other."""
    books = Books(database)
    instance = await books.instance("Half a day")
    await database.pool.execute(
        "INSERT INTO coverage_years VALUES ($1, 2025, ('1' || repeat('0', 365))::bit(366))", instance
    )
    await books.account(await books.application(instance, "Half"), "Half", seat="assigned")
    only = [{"field": "instance", "op": "eq", "value": "half a day"}]
    morning = datetime(2025, 1, 2, 8, tzinfo=UTC)
    rows = await ask(database, "accounts", USE, filters=only, window="2d", at=morning)
    assert [row["usage"] for row in rows] == ["unused"]
    fixed = {"from": "2025-01-01", "to": "2025-01-02"}
    assert [r["usage"] for r in await ask(database, "accounts", USE, filters=only, window=fixed, at=morning)] == [
        "unused"
    ]
    later = await ask(database, "accounts", USE, filters=only, window=fixed)
    assert [(row["usage"], row["days_active"]) for row in later] == [("unknown", 0)]


async def test_a_person_counts_each_day_once_and_knows_only_what_all_know(database: Database) -> None:
    books = Books(database)
    person = await books.person("Twice there")
    instances = [await books.instance(f"Both {n}") for n in range(2)]
    days = [date(2026, 1, n) for n in range(1, 11)]
    for number, instance in enumerate(instances):
        bits = "".join("1" if n < 10 and (number == 0 or n > 4) else "0" for n in range(366))
        await database.pool.execute("INSERT INTO coverage_years VALUES ($1, 2026, $2::text::bit(366))", instance, bits)
        application = await books.application(instance, "Both")
        await books.account(application, "T", person_id=person, used=days[:3], last_active_at=AT)
    row = await _person(database, person, "10d")
    assert (row["days_active"], row["covered_days"], row["usage"]) == (3, 5, "used")
    assert (row["accounts"], row["applications"], row["last_active_at"]) == (2, 2, AT)
    assert row["subject"] == person
    row = await _person(database, person, "5d")
    assert (row["days_active"], row["covered_days"], row["usage"]) == (0, 5, "unused")
    await database.pool.execute("UPDATE instances SET leaving = true WHERE id = $1", instances[1])
    row = await _person(database, person, "10d")
    assert (row["days_active"], row["covered_days"], row["accounts"]) == (3, 10, 1)


async def test_who_is_known_from_a_deleted_instance_alone_is_gone(database: Database) -> None:
    books = Books(database)
    leaving, staying = await books.instance("Leaving"), await books.instance("Staying")
    people = [await books.person(name) for name in ("Leaver", "Stayer")]
    for person, instance in ((people[0], leaving), (people[1], leaving), (people[1], staying)):
        await database.pool.execute(
            "INSERT INTO vendor_users (instance_id, vendor_id, person_id, name, active)"
            " VALUES ($1, $2, $3, 'x', true)",
            instance, str(person), person,
        )  # fmt: skip
    await database.pool.execute("UPDATE instances SET status = 'deleting' WHERE id = $1", leaving)
    await books.application(leaving, "Left behind")
    only = [{"field": "name", "op": "in", "value": ["leaver", "STAYER", "left behind"]}]
    assert [row["name"] for row in await ask(database, "people", ["name"], filters=only)] == ["Stayer"]
    assert await ask(database, "applications", ["name"], filters=only) == []


async def _person(database: Database, person: UUID, window: str) -> dict[str, Any]:
    columns = [*USE, "accounts", "applications", "last_active_at"]
    only = [{"field": "person_id", "op": "eq", "value": str(person)}]
    (row,) = await ask(database, "people", columns, window=window, filters=only)
    return row


def _of_person(facts: Facts, person: UUID) -> tuple[set[date], set[date]]:
    """The union of the days, and the dates that all instances with a seat have covered."""
    own = [a for a, p in facts.person.items() if p == person and facts.instance[a] in facts.covered]
    used: set[date] = set().union(*(facts.used[account] for account in own))
    seats = [facts.covered[facts.instance[account]] for account in own if facts.seat[account] != "none"]
    return used, set.intersection(*seats) if seats else set()
