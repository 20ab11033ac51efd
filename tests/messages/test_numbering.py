"""A reader who follows the places of events misses none, in whatever order transactions end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.core.clock import now
from app.core.database import Database
from app.events.numbering import forget_events, number_events
from app.events.publish import publish


async def read_after(database: Database, position: int) -> list[tuple[int, str]]:
    rows = await database.pool.fetch(
        "SELECT position, data ->> 'name' AS name FROM events WHERE position > $1 ORDER BY position", position
    )
    return [(row["position"], row["name"]) for row in rows]


@pytest.fixture(autouse=True)
async def no_events(database: Database) -> None:
    await database.pool.execute("DELETE FROM events")


async def test_an_event_that_commits_late_comes_after_those_already_read(database: Database) -> None:
    early, late = await database.connect(), await database.connect()
    try:
        slow = early.transaction()
        await slow.start()
        await publish(early, "sync.failed", {"name": "begun first"})
        async with late.transaction():
            await publish(late, "sync.failed", {"name": "begun second"})
        await number_events(database)
        read = await read_after(database, 0)
        assert read == [(1, "begun second")]
        await slow.commit()
        await number_events(database)
        assert await read_after(database, read[-1][0]) == [(2, "begun first")]
    finally:
        await early.close()
        await late.close()


async def test_an_event_exists_only_with_its_transaction(database: Database) -> None:
    async def publish_and_break() -> None:
        async with database.session() as session:
            await publish(session, "sync.succeeded", {"name": "never"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await publish_and_break()
    async with database.session() as session:
        await publish(session, "sync.succeeded", {"name": "for good"})
    await number_events(database)
    assert await read_after(database, 0) == [(1, "for good")]


async def test_many_who_publish_and_number_at_a_time_leave_no_gap(database: Database) -> None:
    followed: list[tuple[int, str]] = []

    async def publishing(who: int) -> None:
        for turn in range(10):
            async with database.transaction() as connection:
                await publish(connection, "sync.succeeded", {"name": f"{who}/{turn}"})
                await asyncio.sleep(0.001 * ((who + turn) % 4))
            await number_events(database)

    async def following() -> None:
        while len(followed) < 80:
            followed.extend(await read_after(database, followed[-1][0] if followed else 0))
            await asyncio.sleep(0.002)

    async with asyncio.timeout(20):
        await asyncio.gather(following(), *(publishing(who) for who in range(8)))
    assert [position for position, _ in followed] == list(range(1, 81))
    assert len({name for _, name in followed}) == 80


async def test_old_events_go_and_places_go_on(database: Database) -> None:
    for name in ("old", "old too", "new"):
        async with database.transaction() as connection:
            await publish(connection, "sync.succeeded", {"name": name})
    await number_events(database)
    await database.pool.execute("UPDATE events SET at = $1", now() - timedelta(days=31))
    await forget_events(database)
    async with database.transaction() as connection:
        await publish(connection, "sync.succeeded", {"name": "next"})
    await number_events(database)
    assert await read_after(database, 0) == [(3, "new"), (4, "next")]
