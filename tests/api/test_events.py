"""Whoever follows the cursor of /v1/events gets every event once, in the order of commits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.database import Database
from app.events.numbering import forget_events, number_events
from app.events.publish import EventType, publish
from tests.api.problems import assert_problem
from tests.conftest import Api

PATH = "/v1/events"


@pytest.fixture(autouse=True)
async def no_events(database: Database) -> None:
    await database.pool.execute("DELETE FROM events")


async def happen(api: Api, *types: EventType) -> None:
    async with api.runtime.database.transaction() as connection:
        for number, type_ in enumerate(types):
            await publish(connection, type_, {"number": number})
    await number_events(api.runtime.database)


async def read(api: Api, after: str | None = None, **params: Any) -> tuple[list[Any], str]:
    response = await api.get(PATH, params={**params, **({} if after is None else {"after": after})})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body.keys() == {"items", "next_cursor"}
    return body["items"], body["next_cursor"]


async def age(api: Api, days: int, count: int) -> None:
    """Let the oldest events be older than they are."""
    await api.runtime.database.pool.execute(
        "UPDATE events SET at = now() - make_interval(days => $1) WHERE id IN"
        " (SELECT id FROM events ORDER BY position LIMIT $2)",
        days,
        count,
    )


async def test_before_anything_has_happened_there_is_a_cursor_to_wait_with(api: Api) -> None:
    items, cursor = await read(api)
    assert items == []
    assert await read(api, cursor) == ([], cursor)
    await happen(api, "sync.failed")
    (event,), _ = await read(api, cursor)
    assert event.keys() == {"id", "type", "timestamp", "data"}
    assert (event["type"], event["data"], event["timestamp"][-1]) == ("sync.failed", {"number": 0}, "Z")


async def test_the_oldest_come_first_page_by_page(api: Api) -> None:
    six: list[EventType] = [
        "sync.failed",
        "sync.succeeded",
        "sync.failed",
        "sync.succeeded",
        "sync.failed",
        "plan.held",
    ]
    await happen(api, *six)
    found: list[int] = []
    cursor: str | None = None
    for size in (4, 2, 0):
        items, cursor = await read(api, cursor, limit=4)
        assert len(items) == size
        found += [event["data"]["number"] for event in items]
    assert found == [0, 1, 2, 3, 4, 5]
    viewer = await api.as_role("viewer")
    assert (await viewer.get(PATH)).status_code == 200
    assert_problem(await api.anonymous().get(PATH), 401)


async def test_an_event_without_a_place_is_not_shown_yet(api: Api) -> None:
    async with api.runtime.database.transaction() as connection:
        await publish(connection, "sync.failed", {})
    items, cursor = await read(api)
    assert items == []
    await number_events(api.runtime.database)
    assert len((await read(api, cursor))[0]) == 1


async def test_a_type_that_does_not_happen_moves_the_cursor_on_and_misses_nothing(api: Api) -> None:
    await happen(api, "sync.failed", "sync.recovered", "sync.failed")
    items, cursor = await read(api, type="plan.held")
    assert items == []
    await happen(api, "plan.held", "sync.failed", "plan.held")
    items, cursor = await read(api, cursor, type="plan.held", limit=1)
    assert [event["data"]["number"] for event in items] == [0]
    items, cursor = await read(api, cursor, type="plan.held", limit=1)
    assert [event["data"]["number"] for event in items] == [2]
    assert (await read(api, cursor, type="plan.held"))[0] == []


async def test_a_reader_among_many_writers_misses_none(api: Api, database: Database) -> None:
    found: list[str] = []

    async def writing(who: int) -> None:
        for turn in range(8):
            async with database.transaction() as connection:
                await publish(connection, "sync.failed" if turn % 2 else "plan.held", {"name": f"{who}/{turn}"})
                await asyncio.sleep(0.002 * ((who + turn) % 4))
            await number_events(database)

    async def reading() -> None:
        _, cursor = await read(api, type="plan.held")
        while len(found) < 16:
            events, cursor = await read(api, cursor, type="plan.held", limit=3)
            found.extend(event["data"]["name"] for event in events)

    async with asyncio.timeout(20):
        await asyncio.gather(reading(), *(writing(who) for who in range(4)))
    assert sorted(found) == sorted(f"{who}/{turn}" for who in range(4) for turn in range(0, 8, 2))


async def test_a_cursor_behind_which_events_are_forgotten_is_gone(api: Api) -> None:
    _, start = await read(api)
    await happen(api, "sync.failed", "sync.failed", "sync.failed")
    first, after_first = await read(api, limit=1)
    _, after_second = await read(api, after_first, limit=1)
    await age(api, 31, 2)
    for _ in range(2):  # whether or not they have been swept away
        body = assert_problem(await api.get(PATH, params={"after": after_first}), 410)
        assert "without `after`" in body["detail"]
        assert_problem(await api.get(PATH, params={"after": start}), 410)
        assert len((await read(api, after_second))[0]) == 1
        (left,), _ = await read(api)
        assert left["data"]["number"] == 2
        await forget_events(api.runtime.database)
    assert len(first) == 1


async def test_a_quiet_month_makes_no_cursor_too_old(api: Api) -> None:
    await happen(api, "sync.failed")
    _, cursor = await read(api)
    await age(api, 40, 1)
    await forget_events(api.runtime.database)
    assert await read(api, cursor) == ([], cursor)
    assert await read(api) == ([], cursor)
    await happen(api, "sync.recovered")
    assert [event["type"] for event in (await read(api, cursor))[0]] == ["sync.recovered"]


async def test_a_cursor_of_a_database_that_was_restored_is_gone(api: Api) -> None:
    await happen(api, "sync.failed", "sync.failed")
    _, cursor = await read(api)
    await api.runtime.database.pool.execute("DELETE FROM events WHERE position > 1")
    assert_problem(await api.get(PATH, params={"after": cursor}), 410)


async def test_what_cannot_be_asked(api: Api) -> None:
    _, cursor = await read(api)
    assert_problem(await api.get(PATH, params={"after": "nonsense"}), 400)
    assert_problem(await api.get(PATH, params={"after": cursor, "type": "sync.failed"}), 400)
    assert_problem(await api.get(PATH, params={"after": cursor[:-2]}), 400)
    body = assert_problem(await api.get(PATH, params={"type": "sync.exploded"}), 422)
    assert body["errors"][0]["parameter"] == "type"
    for limit in ("0", "201", "x"):
        assert_problem(await api.get(PATH, params={"limit": limit}), 422)
