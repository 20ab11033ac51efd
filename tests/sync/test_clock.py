"""The clock: each fire is stood for by one sync, whatever runs, sleeps or jumps meanwhile; slots keep their number."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from app.access.principal import Principal
from app.core.clock import now
from app.core.ids import new_id
from app.core.schedule import next_fire
from app.instances import change, get, resume, stop
from app.models import Instance, Sync
from app.scheduler import due, syncing
from app.scheduler.fires import answer_fires
from app.sync.runtime import Runtime
from app.sync.slots import Slots
from tests.host_clock import put_host_clock
from tests.sync.world import World, user

HOURLY = {"every": "1h"}
OKTA = {"sso_url": "https://acme.okta.com"}
SOMEBODY = Principal(id=new_id(), type="api_key", name="somebody", role="admin", email=None)


async def _schedule(world: World, schedule: dict[str, Any] | None, next_sync_at: datetime | None) -> None:
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id)
        instance.schedule, instance.next_sync_at = schedule, next_sync_at


async def _tick(world: World, at: datetime) -> None:
    async with world.runtime.database.session() as session:
        await answer_fires(session, at, 100)


async def _syncs(world: World) -> list[Sync]:
    rows = await world.fetch("SELECT id FROM syncs WHERE instance_id = $1 ORDER BY id", world.instance_id)
    return [await world.look(row["id"]) for row in rows]


async def _settle(world: World) -> None:
    """As if each sync had been run."""
    await world.fetch("UPDATE syncs SET status = 'succeeded' WHERE instance_id = $1", world.instance_id)


async def _told(world: World) -> list[str]:
    rows = await world.fetch(
        "SELECT text FROM notifications WHERE instance_id = $1 AND kind = 'sync_missed' ORDER BY id", world.instance_id
    )
    return [row["text"] for row in rows]


def _fire(world: World, number: int = 0) -> datetime:
    """One of the hourly fires to come."""
    fire = now()
    for _ in range(number + 1):
        found = next_fire(HOURLY, world.instance_id, fire)
        assert found is not None
        fire = found
    return fire


async def test_a_fire_is_answered_once_and_the_next_one_awaited(world: World) -> None:
    first = _fire(world)
    await _schedule(world, HOURLY, first)
    await _tick(world, first - timedelta(seconds=1))
    assert await _syncs(world) == []
    await _tick(world, first + timedelta(seconds=2))
    await _tick(world, first + timedelta(seconds=4))
    [sync] = await _syncs(world)
    assert (sync.trigger, sync.scheduled_for, sync.missed_fires) == ("schedule", first, 0)
    assert (await world.instance()).next_sync_at == first + timedelta(hours=1)
    assert await _told(world) == []


async def test_a_fire_missed_while_nothing_ran_runs_once_late_and_is_told(world: World) -> None:
    first = _fire(world)
    await _schedule(world, HOURLY, first)
    await _tick(world, first + timedelta(minutes=20))
    [sync] = await _syncs(world)
    assert (sync.scheduled_for, sync.missed_fires) == (first, 0)
    [text] = await _told(world)
    assert f"{first:%Y-%m-%d %H:%M} UTC" in text


async def test_a_clock_that_jumps_over_three_fires_starts_one_sync_for_them(world: World) -> None:
    first = _fire(world)
    await _schedule(world, HOURLY, first)
    await _tick(world, first + timedelta(hours=2, minutes=5))
    [sync] = await _syncs(world)
    assert (sync.scheduled_for, sync.missed_fires) == (first + timedelta(hours=2), 2)
    assert (await world.instance()).next_sync_at == first + timedelta(hours=3)
    [text] = await _told(world)
    assert "3 times" in text


async def test_a_fire_while_a_sync_runs_is_counted_in_the_next_and_not_told(world: World) -> None:
    first = _fire(world)
    await world.request()
    await _schedule(world, HOURLY, first)
    await _tick(world, first + timedelta(seconds=1))
    await _tick(world, first + timedelta(hours=1, seconds=1))
    assert [sync.trigger for sync in await _syncs(world)] == ["manual"]
    await _settle(world)
    await _tick(world, first + timedelta(hours=2, seconds=1))
    await _settle(world)
    await _tick(world, first + timedelta(hours=3, seconds=1))
    fired = [(s.scheduled_for, s.missed_fires) for s in await _syncs(world) if s.trigger == "schedule"]
    assert fired == [(first + timedelta(hours=2), 2), (first + timedelta(hours=3), 0)]
    assert await _told(world) == []


async def test_a_clock_set_back_answers_no_fire_twice(world: World) -> None:
    first = _fire(world)
    await _schedule(world, HOURLY, first)
    await _tick(world, first)
    await _settle(world)
    await _schedule(world, HOURLY, first)
    await _tick(world, first + timedelta(seconds=1))
    assert [sync.scheduled_for for sync in await _syncs(world)] == [first]
    assert (await world.instance()).next_sync_at == first + timedelta(hours=1)


async def test_many_clocks_at_once_start_one_sync_for_each_fire(world: World) -> None:
    first = _fire(world)
    await _schedule(world, HOURLY, first)
    await asyncio.gather(*(_tick(world, first + timedelta(seconds=1)) for _ in range(4)))
    assert [sync.scheduled_for for sync in await _syncs(world)] == [first]


async def _many(world: World, count: int, moment: datetime) -> None:
    """So many instances whose turn is at one moment."""
    source = await world.instance()
    async with world.runtime.database.session() as session:
        session.add_all(
            Instance(
                name=f"One of many {number}",
                connector="okta",
                options={},
                sync=source.sync,
                schedule={"every": "31d"},
                mapping=[],
                contacts=[],
                owner="o",
                status="live",
                created_by={},
                next_sync_at=moment,
            )
            for number in range(count)
        )


_OF_MANY = "JOIN instances i ON i.id = instance_id WHERE i.name LIKE 'One of many%'"


async def _forget_many(world: World) -> None:
    await world.fetch("DELETE FROM ticks")
    await world.fetch("DELETE FROM notifications WHERE kind = 'sync_missed'")
    await world.fetch("DELETE FROM instances WHERE name LIKE 'One of many%'")


async def test_two_hundred_due_at_one_second_are_all_asked_for_in_one_turn(world: World) -> None:
    moment = now() - timedelta(seconds=1)
    await _many(world, 200, moment)
    await due.start_due_syncs(world.runtime)
    rows = await world.fetch(f"SELECT s.scheduled_for FROM syncs s {_OF_MANY}")
    asked = await world.fetch(
        f"SELECT DISTINCT s.id FROM syncs s JOIN pgqueuer q ON q.dedupe_key = 'sync:' || s.id {_OF_MANY}"
    )
    last = await world.fetch(f"SELECT FROM syncs s {_OF_MANY} AND i.last_sync_id = s.id")
    await _forget_many(world)
    assert [row["scheduled_for"] for row in rows] == [moment] * 200
    assert (len(asked), len(last)) == (200, 200)


async def test_what_a_busy_process_answers_late_is_not_told_as_missed(world: World) -> None:
    await due.tick(world.runtime)
    await _many(world, 5, now() - timedelta(minutes=5))
    await due.tick(world.runtime)
    rows = await world.fetch(f"SELECT FROM syncs s {_OF_MANY}")
    told = await world.fetch(f"SELECT FROM notifications n {_OF_MANY}")
    await _forget_many(world)
    assert (len(rows), len(told)) == (5, 0)


async def test_all_that_came_in_an_outage_is_told_however_many_batches_it_takes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "FIRES", 2)
    await due.tick(world.runtime)
    await world.fetch("UPDATE ticks SET at = at - interval '10 minutes'")
    await _many(world, 5, now() - timedelta(minutes=5))
    await due.tick(world.runtime)
    told = await world.fetch(f"SELECT FROM notifications n {_OF_MANY} AND n.kind = 'sync_missed'")
    back = await world.fetch("SELECT FROM ticks WHERE at > now() - interval '5 seconds'")
    await _forget_many(world)
    assert (len(told), len(back)) == (5, 1)


async def test_whoever_answers_batch_after_batch_goes_on_saying_that_it_is_alive(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "FIRES", 2)
    await due.tick(world.runtime)
    await _many(world, 4, now() - timedelta(seconds=20))
    await world.fetch("UPDATE ticks SET at = now() - interval '14 seconds'")
    await due.start_due_syncs(world.runtime)
    heard = await world.fetch("SELECT FROM ticks WHERE at > now() - interval '5 seconds'")
    await _forget_many(world)
    assert len(heard) == 1


async def test_stopped_and_unscheduled_instances_have_no_turn(world: World) -> None:
    first = _fire(world)
    await _schedule(world, HOURLY, first)
    async with world.runtime.database.session() as session:
        instance = await get(session, world.instance_id, lock=True)
        instance.options = OKTA
        await stop(session, instance, by=SOMEBODY)
        assert instance.next_sync_at is None
        await change(session, world.runtime.settings, instance, {"schedule": {"every": "2h"}})
        assert instance.next_sync_at is None
    await _tick(world, first + timedelta(days=1))
    assert await _syncs(world) == []


async def test_started_again_the_passed_over_fires_are_forgotten(world: World) -> None:
    first = _fire(world)
    await world.request()
    await _schedule(world, HOURLY, first)
    await _tick(world, first + timedelta(seconds=1))
    async with world.runtime.database.session() as session:
        instance = await get(session, world.instance_id, lock=True)
        instance.options = OKTA
        await stop(session, instance, by=SOMEBODY)
        await resume(session, instance, by=SOMEBODY)
        fire = instance.next_sync_at
        assert fire is not None
        assert now() < fire <= now() + timedelta(hours=1)
    await _settle(world)
    await _tick(world, fire)
    assert [(s.trigger, s.missed_fires) for s in await _syncs(world)][1:] == [("reactivate", 0), ("schedule", 0)]


@pytest.mark.parametrize("schedule", [{"every": "1m"}, {"cron": "* * * * *", "timezone": "UTC"}])
async def test_years_of_missed_minutes_are_all_counted_and_told(world: World, schedule: dict[str, str]) -> None:
    at = now().replace(second=30, microsecond=0)
    first = next_fire(schedule, world.instance_id, at - timedelta(days=6 * 365))
    assert first is not None
    await _schedule(world, schedule, first)
    await _tick(world, at)
    [sync] = await _syncs(world)
    minutes = (at - first) // timedelta(minutes=1)
    assert (sync.scheduled_for, sync.missed_fires) == (first + timedelta(minutes=minutes), minutes)
    [text] = await _told(world)
    assert f"{minutes + 1} times" in text


async def test_on_a_host_whose_clock_is_ahead_no_fire_comes_early(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fire = now().replace(microsecond=0) + timedelta(minutes=2)
    await _schedule(world, {"every": "1m"}, fire)
    put_host_clock(monkeypatch, timedelta(minutes=3))
    await due.start_due_syncs(world.runtime)
    assert await _syncs(world) == []
    assert (await world.instance()).next_sync_at == fire


@pytest.mark.parametrize("wrong", [timedelta(hours=-3), timedelta(hours=3)])
async def test_a_schedule_counts_from_the_databases_time_on(
    world: World, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    await _schedule(world, None, None)
    true = now()
    put_host_clock(monkeypatch, wrong)
    async with world.runtime.database.session() as session:
        instance = await get(session, world.instance_id, lock=True)
        instance.options = OKTA
        await change(session, world.runtime.settings, instance, {"schedule": HOURLY})
        changed = instance.next_sync_at
        await stop(session, instance, by=SOMEBODY)
        await resume(session, instance, by=SOMEBODY)
        resumed = instance.next_sync_at
    for fire in (changed, resumed):
        assert fire is not None
        assert true < fire <= true + timedelta(hours=1, minutes=1)


async def test_on_a_host_whose_clock_is_behind_no_fire_comes_late_or_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = now()
    fire = true.replace(microsecond=0) - timedelta(seconds=1)
    await _schedule(world, HOURLY, fire)
    put_host_clock(monkeypatch, -timedelta(hours=3))
    await due.start_due_syncs(world.runtime)
    [sync] = await _syncs(world)
    assert sync.scheduled_for is not None
    assert fire <= sync.scheduled_for <= true + timedelta(minutes=1)
    following = (await world.instance()).next_sync_at
    assert following is not None
    assert following > true


async def test_on_a_host_whose_clock_is_ahead_nothing_is_removed_early(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.fetch(
        "INSERT INTO idempotency_records (caller, path, key, body_hash, status, sealed_answer)"
        " VALUES ('somebody', '/v1/contracts', 'kept', '', 201, '')"
    )
    months = await world.fetch("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass")
    put_host_clock(monkeypatch, timedelta(days=2000))
    await due.tidy(world.runtime)
    assert await world.fetch("SELECT FROM idempotency_records WHERE key = 'kept'") != []
    assert await world.fetch("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass") == months


def test_slots_count_in_all_and_for_each_host() -> None:
    slots = Slots()
    with slots.taken("a", in_all=3, per_host=2) as first, slots.taken("a", in_all=3, per_host=2) as second:
        with slots.taken("a", in_all=3, per_host=2) as third, slots.taken("b", in_all=3, per_host=2) as other:
            assert (first, second, third, other) == (True, True, False, True)
            with slots.taken("c", in_all=3, per_host=2) as full:
                assert not full
        with slots.taken("c", in_all=3, per_host=2) as free_again:
            assert free_again


async def test_a_sync_over_the_hosts_cap_goes_back_to_the_queue_at_once(
    world: World, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = runtime.settings.model_copy(update={"host_concurrency": 1, "admin_key": SecretStr("x")})
    few = Runtime(settings, runtime.database, runtime.vault)
    monkeypatch.setattr(syncing, "_SLOTS", Slots())
    went_back = None
    second: UUID | None = None

    async def while_it_runs(stream: str, number: int) -> None:
        nonlocal went_back
        if (stream, number) == ("users", 0):
            went_back = await syncing.work_sync(few, {"sync_id": str(second)}, asyncio.Event())

    world.vendor.users, world.vendor.before_page = [user("ann")], while_it_runs
    first = second = await world.request()
    assert await syncing.work_sync(few, {"sync_id": str(first)}, asyncio.Event()) is None
    assert went_back is not None
    assert 0 < went_back.in_s <= 3
    assert (await world.look(first)).status == "succeeded"
    assert await syncing.work_sync(few, {"sync_id": str(new_id())}, asyncio.Event()) is None


async def test_the_queues_log_does_not_grow_for_ever(world: World) -> None:
    await world.fetch(
        "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)"
        " VALUES (now() - interval '2 days', 1, 'successful', 0, 'old'), (now(), 2, 'successful', 0, 'new')"
    )
    await due.tidy(world.runtime)
    rows = await world.fetch("SELECT entrypoint FROM pgqueuer_log WHERE entrypoint IN ('old', 'new')")
    assert [row["entrypoint"] for row in rows] == ["new"]


async def test_a_step_that_fails_keeps_no_other_from_its_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    async def broken(_runtime: Runtime) -> None:
        raise RuntimeError("no")

    async def sound(_runtime: Runtime) -> None:
        taken.append(True)

    monkeypatch.setattr(due, "STEPS", (broken, sound))
    await due.tick(world.runtime)
    assert taken == [True]
