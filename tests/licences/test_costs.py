"""What costs_sql adds up is what counting by hand gives, in worlds that nobody thought of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.activity.days import window
from app.activity.keyset import Values
from app.core.clock import today
from app.core.database import Database
from app.core.ids import new_id
from app.licences.costs import costs_sql
from tests.api.books import days_ago
from tests.licences.world import Licences, before, day

WINDOW = 30


@dataclass(frozen=True)
class Seat:
    """One account: days since each use, since its assignment, since it was first seen, and until its exemption ends."""

    seat: str
    used: tuple[int, ...]
    assigned: int | None
    first_seen: int
    exempt: int | None


@dataclass(frozen=True)
class World:
    covered: int
    first_sync: int | None
    grace_days: int | None
    price: Decimal
    seats: tuple[Seat, ...]


# Days around which something changes, and others.
_ago = st.one_of(st.sampled_from([0, 1, 9, 10, 11, 28, 29, 30, 31]), st.integers(0, 80))
_seats = st.builds(
    Seat,
    seat=st.sampled_from(["assigned", "assigned", "entitled", "unknown", "none"]),
    used=st.lists(_ago, max_size=2).map(tuple),
    assigned=st.none() | _ago,
    first_seen=_ago,
    exempt=st.sampled_from([None, None, -1, 0, 5, 9999]),
)
_worlds = st.builds(
    World,
    covered=st.sampled_from([0, 14, 29, 30, 60]),
    first_sync=st.none() | _ago,
    grace_days=st.sampled_from([None, 0, 1, 10, 30]),
    price=st.decimals(0, 1000, places=4),
    seats=st.lists(_seats, max_size=6).map(tuple),
)


@pytest_asyncio.fixture(scope="module")
async def books(database: Database) -> AsyncIterator[Licences]:
    yield Licences(database)


async def build(books: Licences, world: World) -> UUID:
    instance = await books.instance(str(new_id()), covered=world.covered)
    application = await books.application(instance, "CRM")
    if world.first_sync is not None:
        await books.first_sync(instance, world.first_sync)
    if world.grace_days is not None:
        await books.contract(application, price_per_seat=world.price, grace_days=world.grace_days)
    for number, seat in enumerate(world.seats):
        account = await books.account(
            application, f"User {number}", seat=seat.seat, used=days_ago(*set(seat.used)),
            assigned_at=None if seat.assigned is None else before(seat.assigned),
            # A minute before the sync of that day, where there is one.
            first_seen_at=before(seat.first_seen) - timedelta(minutes=1),
        )  # fmt: skip
        if seat.exempt is not None:
            await books.exemption(account, until=None if seat.exempt == 9999 else day(seat.exempt))
    return application


def by_hand(world: World) -> dict[str, int]:
    """The rules in words of Python."""
    names = ("assigned", "used", "unused", "unknown", "exempt", "in_grace", "reclaimable")
    counts = dict.fromkeys(names, 0)
    whole = world.covered >= WINDOW
    grace_days = 30 if world.grace_days is None else world.grace_days
    for seat in world.seats:
        if seat.seat == "none":
            continue
        used = any(ago < WINDOW for ago in seat.used)
        given = seat.assigned
        if given is None and world.first_sync is not None and seat.first_seen < world.first_sync:
            given = seat.first_seen
        in_grace = grace_days > 0 and given is not None and given <= grace_days
        exempt = seat.exempt is not None and seat.exempt >= 0
        counts["assigned"] += 1
        counts["used" if used else "unused" if whole else "unknown"] += 1
        counts["exempt"] += exempt
        counts["in_grace"] += in_grace
        counts["reclaimable"] += whole and not used and not exempt and not in_grace
    return counts


async def costs(books: Licences, application_id: UUID, last: date, *, alone: bool = True) -> dict[str, Any]:
    values = Values()
    statement = costs_sql(window(WINDOW, last), values, application_id if alone else None)
    rows = await books.database.pool.fetch(f"SELECT * FROM ({statement}) c", *values)
    return next(dict(row) for row in rows if row["application_id"] == application_id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=_worlds)
async def test_seats_are_counted_as_by_hand(books: Licences, world: World) -> None:
    application = await build(books, world)
    found = await costs(books, application, today())
    expected = by_hand(world)
    assert {name: found[name] for name in expected} == expected
    assert found["used"] + found["unused"] + found["unknown"] == found["assigned"]
    assert found["accounts"] == len(world.seats)
    if world.grace_days is None:
        assert (found["seats_bought"], found["cost_of_unused"], found["total_cost"], found["per"]) == (None,) * 4
    else:
        cent = Decimal("0.01")
        unused = (world.price * expected["reclaimable"]).quantize(cent, ROUND_HALF_UP)
        assert (found["cost_of_unused"], found["total_cost"]) == (
            unused,
            (world.price * 10).quantize(cent, ROUND_HALF_UP),
        )
    assert found == await costs(books, application, today(), alone=False)


async def test_a_window_of_the_past_has_the_contract_of_then(books: Licences) -> None:
    application = await books.application(await books.instance("Then", covered=60), "CRM")
    await books.contract(application, seats=5, starts_on=day(-50), renews_on=day(-10))
    await books.contract(application, seats=7, starts_on=day(-10))
    assert (await costs(books, application, day(-60)))["seats_bought"] is None
    assert (await costs(books, application, day(-11)))["seats_bought"] == 5
    assert (await costs(books, application, day(-10)))["seats_bought"] == 7


async def test_what_is_leaving_is_not_there(books: Licences) -> None:
    for name, columns in (("L", "leaving = true"), ("D", "leaving = true, status = 'deleting'")):
        instance = await books.instance(name)
        await books.account(await books.application(instance, "CRM"), "Ada")
        await books.database.pool.execute(f"UPDATE instances SET {columns} WHERE id = $1", instance)
    values = Values()
    rows = await books.database.pool.fetch(costs_sql(window(WINDOW, today()), values), *values)
    assert not {row["application_id"] for row in rows} & await _leaving(books)


async def _leaving(books: Licences) -> set[UUID]:
    rows = await books.database.pool.fetch(
        "SELECT p.id FROM applications p JOIN instances i ON i.id = p.instance_id WHERE i.leaving"
    )
    assert rows
    return {row["id"] for row in rows}
