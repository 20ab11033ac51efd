"""A world of raw facts, day by day, and what a report says of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.activity.days import mark
from app.core.clock import days_between
from app.core.database import Database
from app.reports.query import Question, build, build_count
from tests.api.books import Books

FIRST, LAST = date(2023, 10, 1), date(2026, 1, 20)
AT = datetime(2026, 1, 10, 15, 30, tzinfo=UTC)
TODAY = AT.date()


@dataclass
class Facts:
    """used: days by account; covered: dates by instance."""

    used: dict[UUID, set[date]] = field(default_factory=dict)
    covered: dict[UUID, set[date]] = field(default_factory=dict)
    instance: dict[UUID, UUID] = field(default_factory=dict)
    person: dict[UUID, UUID] = field(default_factory=dict)
    seat: dict[UUID, str] = field(default_factory=dict)
    application: dict[UUID, UUID] = field(default_factory=dict)


async def ask(database: Database, dataset: str, columns: Sequence[str], **more: Any) -> list[dict[str, Any]]:
    """The rows of a report, by column; `subject` beside them."""
    at = more.pop("at", AT)
    definition = {"dataset": dataset, "columns": columns, "window": "30d", "filters": [], "sort": [], **more}
    async with database.pool.acquire() as connection:
        question = await build(connection, definition, at)
        rows = await connection.fetch(question.sql, *question.values)
        text, values = await build_count(connection, definition, at)
        assert await connection.fetchval(text, *values) == len(rows)
    return [named(question, row) for row in rows]


def named(question: Question, row: Mapping[str, Any]) -> dict[str, Any]:
    found = {column.key: row[f"c{n}"] for n, column in enumerate(question.columns)}
    return {**found, "subject": row["subject"]}


def span(window: str | Mapping[str, str], today: date = TODAY) -> list[date]:
    """Every date of a window, counted out."""
    if isinstance(window, str):
        return [today - timedelta(days=n) for n in range(int(window[:-1]))]
    return days_between(date.fromisoformat(window["from"]), date.fromisoformat(window["to"]))


def told(used: set[date], covered: set[date], dates: Sequence[date], today: date = TODAY) -> dict[str, Any]:
    """The rule of the book, word by word."""
    days, seen = len(used & set(dates)), len(covered & set(dates))
    before_today = [day for day in dates if day < today]
    unused = seen > 0 and all(day in covered for day in before_today)
    return {
        "days_active": days if seen else None,
        "covered_days": seen,
        "usage": "used" if days else "unused" if unused else "unknown",
    }


async def random_world(database: Database, seed: int) -> Facts:
    """Five instances with holes in what they cover, one of them being deleted; people with accounts in several."""
    chance, books, facts = random.Random(seed), Books(database), Facts()
    every = days_between(FIRST, LAST)
    instances = [
        await _instance(books, facts, f"I{seed}-{n}", covered, leaving=n == 4)
        for n, covered in enumerate((
            set(every), {d for d in every if d >= date(2025, 12, 20)},
            {d for d in every if chance.random() < 0.97}, set(), set(every),
        ))
    ]  # fmt: skip
    applications = [(i, await books.application(i, f"App {n}")) for i in instances for n in range(2)]
    people = [await books.person(f"Person {n}") for n in range(12)]
    for person in people:
        for instance, application in chance.sample(applications, chance.randrange(5)):
            start = chance.choice(every)
            rate = chance.choice((0, 0.002, 0.05, 0.9))
            used = {d for d in every if d >= start and d <= TODAY and chance.random() < rate}
            seat = chance.choice(("assigned", "entitled", "unknown", "none"))
            account = await books.account(application, "A", used=used, person_id=person, seat=seat)
            facts.used[account], facts.instance[account], facts.person[account] = used, instance, person
            facts.seat[account], facts.application[account] = seat, application
    return facts


async def _instance(books: Books, facts: Facts, name: str, covered: set[date], *, leaving: bool) -> UUID:
    instance = await books.instance(name)
    for year, days in mark(covered).items():
        await books.database.pool.execute("INSERT INTO coverage_years VALUES ($1, $2, $3)", instance, year, days)
    await books.database.pool.execute("UPDATE instances SET leaving = $2 WHERE id = $1", instance, leaving)
    if not leaving:
        facts.covered[instance] = covered
    return instance
