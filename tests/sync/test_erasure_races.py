"""What began before the books forgot a person is waited for, and what it wrote of them is taken out as well."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from app.core.ids import new_id
from app.erasure.run import run_erasure
from app.events.publish import publish
from app.reports.run import run_report
from app.sync.leased import Again
from app.sync.shared_people import share_people
from tests.reports import answering
from tests.sync.conftest import OpenWorld
from tests.sync.test_erased_people import OTHERS, TRACES, ada, erase, is_erased, mentions, person_of
from tests.sync.world import World, application


async def _listed(opening: OpenWorld) -> tuple[World, UUID]:
    """Ada with a seat in the wiki."""
    world = await opening()
    await world.sync(users=[ada(), *OTHERS], applications=[application("wiki")], seats={"wiki": ["00u1"]})
    return world, await person_of(world)


@pytest.mark.timeout(60)
async def test_a_report_that_has_asked_the_books_and_is_not_at_its_end_is_waited_for(
    opening: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, person = await _listed(opening)
    runtime = world.runtime
    run_id = await answering.asked(runtime, await answering.report(runtime, columns=["name", "email"]))
    has_written, may_go_on = asyncio.Event(), asyncio.Event()

    async def publish_later(*told: Any) -> None:
        has_written.set()
        await may_go_on.wait()
        await publish(*told)

    monkeypatch.setattr("app.reports.run.publish", publish_later)
    running = asyncio.create_task(run_report(runtime, run_id, asyncio.Event()))
    await has_written.wait()
    assert isinstance(await erase(world, person), Again)
    assert not await is_erased(world, person)
    may_go_on.set()
    assert await running is None
    assert await mentions(world, *TRACES) == {"report_chunks"}
    assert await run_erasure(runtime, person, asyncio.Event()) is None
    assert await mentions(world, *TRACES) == set()


@pytest.mark.timeout(60)
async def test_a_sync_that_ties_a_seat_to_the_person_is_waited_for(opening: OpenWorld) -> None:
    world, person = await _listed(opening)
    async with world.runtime.database.transaction() as syncing:
        await share_people(syncing)
        await syncing.execute(
            "INSERT INTO accounts (id, instance_id, application_id, person_id, vendor_id, name, email, seat, status)"
            " SELECT $1, instance_id, application_id, person_id, '00u9', 'Ada Byron', 'ada@byron.example', seat, status"
            " FROM accounts WHERE person_id = $2 LIMIT 1",
            new_id(), person,
        )  # fmt: skip
        async with asyncio.timeout(20):
            assert isinstance(await erase(world, person), Again)
        assert await person_of(world) == person
    assert await run_erasure(world.runtime, person, asyncio.Event()) is None
    assert await is_erased(world, person)
    assert await mentions(world, *TRACES) == set()
