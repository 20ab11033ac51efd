"""What is kept has an end: rows whose time is over go, in batches, and what is still needed stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.core.ids import new_id
from app.notifications.notify import notify
from app.scheduler import due
from app.sync.runtime import Runtime
from tests.sync.world import World, application, user


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scheduler.retention.BATCH", 2)


async def age(runtime: Runtime, table: str, column: str, ids: list[UUID], *, days: int) -> None:
    statement = f"UPDATE {table} SET {column} = now() - make_interval(days => $2, mins => 1) WHERE id = ANY($1)"
    await runtime.database.pool.execute(statement, ids, days)


async def left(runtime: Runtime, table: str, ids: list[Any], key: str = "id") -> list[Any]:
    rows = await runtime.database.pool.fetch(f"SELECT {key} AS key FROM {table} WHERE {key} = ANY($1)", ids)
    found = {row["key"] for row in rows}
    return [each for each in ids if each in found]


async def test_syncs_go_but_for_the_first_success_and_the_latest(world: World) -> None:
    runtime, days = world.runtime, world.runtime.settings.retention_days
    syncs = []
    for turn in range(6):
        users = [user("ann"), user("ben"), *([user("cid")] if turn % 2 else [])]
        syncs.append((await world.sync(users=users, applications=[application("wiki")], seats={"wiki": ["ann"]})).id)
    await runtime.database.pool.executemany(
        "INSERT INTO sync_errors (sync_id, stream, code, detail) VALUES ($1, 'users', 'c', 'd')",
        [(sync_id,) for sync_id in syncs for _ in range(3)],
    )
    histories = await world.fetch("SELECT id FROM history")
    await age(runtime, "syncs", "updated_at", syncs, days=days)
    await age(runtime, "syncs", "updated_at", syncs[3:4], days=days - 1)
    await due.tidy(runtime)
    assert await left(runtime, "syncs", syncs) == [syncs[0], syncs[3], syncs[5]]
    assert len(await left(runtime, "sync_errors", syncs, "sync_id")) == 3
    # Accounts can still be looked at as of any time.
    assert await world.fetch("SELECT id FROM history") == histories
    assert (await world.sync()).status == "succeeded"


async def test_settled_plans_go_with_what_they_name(world: World) -> None:
    runtime, days = world.runtime, world.runtime.settings.retention_days
    plans = {}
    for status in ("ready", "held", "applied", "superseded", "discarded", "failed"):
        plans[status] = new_id()
        await runtime.database.pool.execute(
            "INSERT INTO plans (id, instance_id, status) VALUES ($1, $2, $3)", plans[status], world.instance_id, status
        )
        await runtime.database.pool.executemany(
            "INSERT INTO plan_changes (plan_id, number, kind, action, name) VALUES ($1, $2, 'people', 'created', 'x')",
            [(plans[status], number) for number in range(5)],
        )
    await age(runtime, "plans", "updated_at", list(plans.values()), days=days)
    await age(runtime, "plans", "updated_at", [plans["failed"]], days=days - 1)
    await due.tidy(runtime)
    kept = [plans["ready"], plans["held"], plans["failed"]]
    assert await left(runtime, "plans", list(plans.values())) == kept
    assert await left(runtime, "plan_changes", list(plans.values()), "plan_id") == kept


async def test_notifications_erasures_and_months_of_the_audit_go(runtime: Runtime) -> None:
    pool, days = runtime.database.pool, runtime.settings.retention_days
    for number in range(5):
        async with runtime.database.transaction() as connection:
            await notify(
                connection, "sync_failed", instance_id=None, key=f"k{number}", subject="s", text="t", also=["a@b"]
            )
    told = [row["id"] for row in await pool.fetch("SELECT id FROM notifications ORDER BY id")]
    await age(runtime, "notifications", "created_at", told[:4], days=days)
    people = [new_id() for _ in range(3)]
    for person, over in zip(people, (days, days - 1, None), strict=True):
        finished = "now() - make_interval(days => $2, mins => 1)"
        await pool.execute(
            f"INSERT INTO erasures (person_id, sealed, finished_at) VALUES ($1, '', {finished})", person, over
        )
    await pool.execute("SELECT seatwise_audit_partitions(now() - interval '3 years', now() - interval '3 years')")
    months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
    before = await pool.fetchval(months)
    await due.tidy(runtime)
    assert await left(runtime, "notifications", told) == told[4:]
    assert await left(runtime, "notification_emails", told, "notification_id") == told[4:]
    assert await left(runtime, "erasures", people, "person_id") == people[1:]
    assert await pool.fetchval(months) == before - 1


async def test_kept_answers_go_after_a_day(runtime: Runtime) -> None:
    await runtime.database.pool.executemany(
        "INSERT INTO idempotency_records (caller, path, key, body_hash, status, sealed_answer, created_at)"
        " VALUES ('c', '/', $1, '', 200, '', now() - make_interval(hours => $2))",
        [("old", 25), ("young", 23)],
    )
    await due.tidy(runtime)
    kept = await runtime.database.pool.fetch("SELECT key FROM idempotency_records WHERE caller = 'c'")
    assert [row["key"] for row in kept] == ["young"]
