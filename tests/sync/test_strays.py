"""Who joins between the lists and the log of one sync loses no day of use."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.connectors.contract import Use
from app.core.clock import now, today
from app.core.errors import VendorUnavailable
from tests.sync.world import World, application, days_ago, user

ADA, LATE = user("ada"), user("late")


@pytest.fixture
def after(world: World) -> dict[str, object]:
    """The vendor once everybody is listed, whose log has told all it has to tell."""
    return {
        "users": [ADA, LATE],
        "applications": [application("ledger"), application("new")],
        "seats": {"ledger": ["ada", "late"], "new": ["ada"]},
    }


async def test_a_user_who_joins_after_the_list_was_read_keeps_the_first_use(
    world: World, after: dict[str, object]
) -> None:
    use = Use("ledger", "late", now())
    first = await world.sync(users=[ADA], applications=[application("ledger")], seats={"ledger": ["ada"]}, uses=[use])
    assert first.counters["activity"]["rejected"] == 1
    second = await world.sync(**after, uses=[])
    assert await world.days("ledger", "late") == [today()]
    assert second.counters["activity"]["created"] == 1
    assert await world.fetch("SELECT * FROM stray_uses") == []


async def test_an_application_that_comes_after_the_list_keeps_its_first_use(
    world: World, after: dict[str, object]
) -> None:
    await world.sync(
        users=[ADA], applications=[application("ledger")], seats={"ledger": ["ada"]}, uses=[Use("new", "ada", now())]
    )
    await world.sync(**after, uses=[])
    assert await world.days("new", "ada") == [today()]


async def test_an_old_use_by_a_stranger_is_not_kept(world: World, after: dict[str, object]) -> None:
    await world.sync(
        users=[ADA],
        applications=[application("ledger")],
        seats={"ledger": ["ada"]},
        uses=[Use("ledger", "late", days_ago(10))],
    )
    assert await world.fetch("SELECT * FROM stray_uses") == []


async def test_who_is_not_listed_by_the_next_sync_either_is_let_go(world: World, after: dict[str, object]) -> None:
    nobody = Use("ledger", "nobody", now())
    await world.sync(users=[ADA], applications=[application("ledger")], seats={"ledger": ["ada"]}, uses=[nobody])
    await world.sync(**after, uses=[])
    assert await world.fetch("SELECT * FROM stray_uses") == []


async def test_a_sync_that_goes_on_after_a_fault_leaves_its_strays_to_the_next(
    world: World, after: dict[str, object]
) -> None:
    uses = [Use("ledger", "late", now() - timedelta(seconds=each)) for each in range(4)]
    failed = await world.sync(
        users=[ADA],
        applications=[application("ledger")],
        seats={"ledger": ["ada"]},
        uses=uses,
        page_size=1,
        fail={("activity", 2): VendorUnavailable("away")},
    )
    assert failed.status == "failed"
    await world.sync(users=[ADA], applications=[application("ledger")], seats={"ledger": ["ada"]}, uses=uses)
    await world.sync(**after, uses=[])
    assert await world.days("ledger", "late") == [today()]
