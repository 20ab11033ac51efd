"""A run that ends anywhere goes on by itself, writes nothing late, and is settled once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import deepcopy
from typing import Any

from app.connectors.contract import Use
from app.core.errors import Conflict
from app.core.queue import enqueue
from app.core.schema import at_head
from app.models import Instance
from app.scheduler.due import adopt_orphans
from app.sync.lease import Held, Lease, LeaseLost, claim
from app.sync.leased import Again
from app.sync.requests import cancel_sync, request_sync
from app.sync.run import run_sync
from app.sync.runtime import Runtime
from app.sync.tally import Tally
from tests.sync.world import World, application, days_ago, user

USERS = [user(f"u{n}") for n in range(6)]
EVERYTHING: dict[str, Any] = {
    "users": USERS,
    "applications": [application("ledger"), application("mail"), application("grp", access="groups", groups=("g",))],
    "seats": {"ledger": ["u0", "u1", "u2"], "mail": ["u3"], "g": ["u4", "u5"]},
    "uses": [Use("ledger", f"u{n}", days_ago(n + 1)) for n in range(6)],
}


class Killed(BaseException):
    """Stands for kill -9: nothing of the worker runs after it but the end of its connections."""


async def _kill_at(world: World, stream: str, page: int) -> None:
    async def die(at_stream: str, at_page: int) -> None:
        if (at_stream, at_page) == (stream, page):
            world.vendor.before_page = None
            raise Killed

    world.vendor.before_page = die


async def _expire(world: World) -> None:
    await world.fetch("UPDATE syncs SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")


async def test_a_killed_run_goes_on_from_its_checkpoint(world: World) -> None:
    for name, value in EVERYTHING.items():
        setattr(world.vendor, name, value)
    sync_id = await world.request()
    points = [("users", 1), ("users", 2), ("applications", 1), ("assignments/ledger", 1), ("activity", 2)]
    for stream, page in points:
        await _kill_at(world, stream, page)
        with suppress(Killed, BaseExceptionGroup):
            await run_sync(world.runtime, sync_id, asyncio.Event())
        assert isinstance(await run_sync(world.runtime, sync_id, asyncio.Event()), Again)
        await _expire(world)
    assert await run_sync(world.runtime, sync_id, asyncio.Event()) is None
    sync = await world.look(sync_id)
    assert sync.status == "succeeded", sync.failure
    assert len(await world.accounts()) == 6
    assert await world.active("grp") == {"u4", "u5"}
    assert sync.counters["people"]["created"] == 6
    assert sync.counters["activity"]["created"] == 6
    users_asked = [a for a in world.vendor.asked if a.startswith("users")]
    assert users_asked.count("users 0") == 1, users_asked


async def test_a_cursor_that_the_vendor_forgot_begins_the_stream_anew_and_deactivates_nobody(world: World) -> None:
    for name, value in EVERYTHING.items():
        setattr(world.vendor, name, value)
    await world.sync()
    sync_id = await world.request()
    await _kill_at(world, "users", 2)
    with suppress(Killed, BaseExceptionGroup):
        await run_sync(world.runtime, sync_id, asyncio.Event())
    await _expire(world)
    await world.fetch("UPDATE sync_reads SET cursor = 'gone' WHERE sync_id = $1 AND stream = 'users'", sync_id)
    await run_sync(world.runtime, sync_id, asyncio.Event())
    assert (await world.look(sync_id)).status == "succeeded"
    assert len(await world.active()) == 6


async def test_lost_notes_are_read_again_before_absence_is_judged(world: World) -> None:
    for name, value in EVERYTHING.items():
        setattr(world.vendor, name, value)
    await world.sync()
    sync_id = await world.request()
    await _kill_at(world, "activity", 1)
    with suppress(Killed, BaseExceptionGroup):
        await run_sync(world.runtime, sync_id, asyncio.Event())
    await _expire(world)
    await world.fetch("TRUNCATE sync_seen")
    await run_sync(world.runtime, sync_id, asyncio.Event())
    assert (await world.look(sync_id)).status == "succeeded"
    assert len(await world.active()) == 6
    assert await world.active("ledger") == {"u0", "u1", "u2"}


async def test_a_worker_thought_dead_writes_nothing_late(world: World) -> None:
    sync_id = await world.request()
    first = await claim(world.runtime.database, sync_id, worker=world.runtime.process_id, seconds=20)
    assert isinstance(first, Lease)
    held = await claim(world.runtime.database, sync_id, worker=world.runtime.process_id, seconds=20)
    assert isinstance(held, Held)
    await _expire(world)
    second = await claim(world.runtime.database, sync_id, worker=world.runtime.process_id, seconds=20)
    assert isinstance(second, Lease)
    async with world.runtime.database.pool.acquire() as connection:
        try:
            async with first.transaction(connection):
                raise AssertionError("a late worker was let in")
        except LeaseLost:
            pass
        async with second.transaction(connection):
            pass


async def test_a_renewal_that_was_overtaken_by_a_page_undoes_none_of_its_counts(world: World) -> None:
    sync_id = await world.request()
    lease = await claim(world.runtime.database, sync_id, worker=world.runtime.process_id, seconds=20)
    assert isinstance(lease, Lease)
    tally = Tally.begin({}, {}, 0, 0.0)
    overtaken = deepcopy(tally.snapshot(1, 0.0))
    async with world.runtime.database.pool.acquire() as connection, lease.transaction(connection):
        tally.count("people", read=200, created=200)
        tally.fetched("users", 200)
        await lease.save(connection, tally.snapshot(2, 0.0))
    await lease.renew(overtaken)
    sync = await world.look(sync_id)
    assert sync.counters["people"]["created"] == 200
    assert sync.progress["users"]["fetched"] == 200
    assert sync.vendor_calls == 2


async def test_a_cancelled_run_stops_and_a_late_cancel_does_not_touch_the_next(world: World) -> None:
    world.vendor.users = USERS
    reached = asyncio.Event()

    async def hang(stream: str, page: int) -> None:
        if (stream, page) == ("users", 1):
            reached.set()
            await asyncio.sleep(30)

    world.vendor.before_page = hang
    sync_id = await world.request()
    running = asyncio.create_task(run_sync(world.runtime, sync_id, asyncio.Event()))
    await reached.wait()
    async with world.runtime.database.session() as session:
        assert (await cancel_sync(session, sync_id)).status == "cancelled"
    async with asyncio.timeout(10):
        assert await running is None
    assert (await world.look(sync_id)).status == "cancelled"
    world.vendor.before_page = None
    assert (await world.sync()).status == "succeeded"


async def test_a_stopping_process_hands_its_run_on_at_once(world: World) -> None:
    world.vendor.users = USERS
    stopping = asyncio.Event()

    async def stop(stream: str, page: int) -> None:
        if (stream, page) == ("users", 1):
            stopping.set()
            await asyncio.sleep(30)

    world.vendor.before_page = stop
    sync_id = await world.request()
    assert await run_sync(world.runtime, sync_id, stopping) == Again(0)
    world.vendor.before_page = None
    assert await run_sync(world.runtime, sync_id, asyncio.Event()) is None
    assert (await world.look(sync_id)).status == "succeeded"


async def test_a_rollback_enqueues_nothing_even_before_the_first_statement(runtime: Runtime) -> None:
    async def waiting() -> int:
        async with runtime.database.pool.acquire() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'nothing'"))

    try:
        async with runtime.database.session() as session:
            await enqueue(session, "nothing", {}, key="once")
            raise ValueError
    except ValueError:
        pass
    assert await waiting() == 0
    async with runtime.database.session() as session:
        await enqueue(session, "nothing", {}, key="once")
        await enqueue(session, "nothing", {}, key="once")
    assert await waiting() == 1


async def test_an_orphaned_sync_gets_a_job_again(world: World) -> None:
    sync_id = await world.request()
    await world.fetch("DELETE FROM pgqueuer")
    await world.fetch("UPDATE syncs SET updated_at = now() - interval '1 hour' WHERE id = $1", sync_id)
    for _ in range(2):
        async with world.runtime.database.session() as session:
            await adopt_orphans(session, 20)
    jobs = await world.fetch("SELECT dedupe_key FROM pgqueuer")
    assert [row["dedupe_key"] for row in jobs] == [f"sync:{sync_id}"]


async def test_only_one_sync_of_an_instance_is_unfinished(world: World) -> None:
    first = await world.request()

    async def ask() -> str | None:
        try:
            async with world.runtime.database.session() as session:
                instance = await session.get_one(Instance, world.instance_id)
                await request_sync(session, instance, trigger="manual")
        except Conflict as conflict:
            return str(conflict.extensions["sync_id"])
        return None

    assert await asyncio.gather(*(ask() for _ in range(5))) == [str(first)] * 5


async def test_the_schema_is_at_head(runtime: Runtime) -> None:
    assert await at_head(runtime.database)
