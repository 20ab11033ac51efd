"""Deleting an instance, or all its accounts: asked for by name, out of sight at once, gone in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.connectors.contract import Use
from app.core.ids import new_id
from app.scheduler import due
from app.scheduler.syncing import work_sync
from app.sync import removal
from app.sync.removal import run_removal
from app.sync.runtime import Runtime
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.sync.world import World, application, days_ago, open_world, user

USES = [Use("wiki", "ann", days_ago(2))]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that everything takes several."""
    monkeypatch.setattr(removal, "BATCH", 2)


@pytest_asyncio.fixture
async def world(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Ann, Ben, Cid and Dora, three of them with a seat in a wiki. Nothing of any instance is left to the next test."""
    world = await open_world(runtime, monkeypatch)
    await world.fetch(
        "UPDATE instances SET created_by = $2 WHERE id = $1",
        world.instance_id,
        {"id": str(new_id()), "name": "somebody", "email": None},
    )
    await _fill(world)
    yield world
    rows = await world.fetch("UPDATE instances SET status = 'deleting', leaving = true RETURNING id")
    for row in rows:
        await _finish(runtime, row["id"])
    assert await world.fetch("SELECT 1 FROM people UNION ALL SELECT 1 FROM history") == []


async def _fill(world: World) -> None:
    sync = await world.sync(
        users=[user("ann"), user("ben"), user("cid"), user("dora", email=None)],
        applications=[application("wiki")],
        seats={"wiki": ["ann", "ben", "cid"]},
        uses=USES,
    )
    assert sync.status == "succeeded", sync.failure


async def _name(world: World) -> str:
    return (await world.instance()).name


async def _delete(api: Api, world: World, what: str = "", **parameters: str) -> Any:
    parameters = parameters or {"confirm": await _name(world)}
    return await api.delete(f"/v1/instances/{world.instance_id}{what}", params=parameters)


async def _finish(runtime: Runtime, instance_id: UUID) -> None:
    for _ in range(20):
        again = await run_removal(runtime, instance_id, asyncio.Event())
        if again is None:
            return
        await asyncio.sleep(min(again.in_s, 0.1))
    raise AssertionError("the removal does not come to its end")


async def _traces(world: World, *needles: object) -> list[str]:
    """Tables in which any row says any of the words, but those that keep what was said before."""
    kept = ("audit_events", "events", "notifications", "notification_emails", "idempotency_records")
    tables = await world.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    pattern = "|".join(str(needle) for needle in needles)
    found = []
    for table in (row["table_name"] for row in tables):
        if table not in kept and not table.startswith(("pgqueuer", "audit_events_")):
            said = await world.fetch(f'SELECT 1 FROM "{table}" t WHERE t::text ~ $1 LIMIT 1', pattern)
            found += [table] if said else []
    return found


async def _number(api: Api, path: str) -> int:
    return len((await api.get(path)).json()["items"])


@pytest.mark.parametrize("what", ["", "/accounts"])
async def test_it_asks_for_the_name(api: Api, world: World, what: str) -> None:
    without = await api.delete(f"/v1/instances/{world.instance_id}{what}")
    assert "confirm" in assert_problem(without, 409)["detail"]
    other = await _delete(api, world, what, confirm="another")
    assert "not its name" in assert_problem(other, 409)["detail"]
    assert (await world.instance()).status == "live"
    assert len(await world.accounts()) == 4


@pytest.mark.parametrize("what", ["", "/accounts"])
async def test_only_an_admin_may_and_it_must_exist(api: Api, world: World, what: str) -> None:
    operator = await api.as_role("operator")
    assert (await _delete(operator, world, what)).status_code == 403
    missing = await api.delete(f"/v1/instances/{new_id()}{what}?confirm=x")
    assert_problem(missing, 404)
    unknown = await _delete(api, world, what, sure="yes")
    assert unknown.status_code == 422


async def test_a_deleted_instance_leaves_the_books_at_once_and_the_tables_soon(
    api: Api, runtime: Runtime, world: World
) -> None:
    name, key = await _name(world), world.instance_id
    [wiki] = (await api.get(f"/v1/applications?instance_id={key}&kind=detected")).json()["items"]
    [ann] = (await api.get(f"/v1/accounts?application_id={wiki['id']}&q=ann")).json()["items"]
    answer = await _delete(api, world)
    assert answer.status_code == 202
    assert answer.json()["status"] == "deleting"
    assert answer.json()["next_sync_at"] is None

    assert await _number(api, f"/v1/accounts?instance_id={key}") == 0
    assert await _number(api, f"/v1/applications?instance_id={key}") == 0
    assert (await api.get(f"/v1/accounts/{ann['id']}")).status_code == 404
    assert (await api.get(f"/v1/applications/{wiki['id']}/usage")).status_code == 404
    assert (await api.get(f"/v1/people/{ann['person_id']}")).json()["accounts"] == 0

    await _finish(runtime, world.instance_id)
    assert (await api.get(f"/v1/instances/{key}")).status_code == 404
    assert (await api.get(f"/v1/people/{ann['person_id']}")).status_code == 404
    assert await _traces(world, key, ann["id"], "ann@example", "dora", wiki["id"]) == []
    told = await world.fetch("SELECT data FROM events WHERE type = 'instance.deleted' AND data->>'instance' = $1", name)
    assert [row["data"]["instance_id"] for row in told] == [str(key)]
    audited = (await api.get(f"/v1/audit-events?action=instance.deleted&resource_id={key}")).json()["items"]
    assert [a["after"] for a in audited] == [None]


async def test_its_name_is_free_again_once_it_is_gone(api: Api, runtime: Runtime, world: World) -> None:
    name = await _name(world)
    await _delete(api, world)
    taken = await api.post("/v1/instances", json={"name": name, "connector": "okta"})
    assert_problem(taken, 409)
    await _finish(runtime, world.instance_id)
    again = await api.post("/v1/instances", json={"name": name, "connector": "okta"})
    assert again.status_code == 201


async def test_a_deleting_instance_takes_no_change(api: Api, world: World) -> None:
    await _delete(api, world)
    path = f"/v1/instances/{world.instance_id}"
    changes = [
        await api.patch(path, json={"contacts": []}),
        await api.patch(path, json={"status": "live"}),
        await api.patch(path, json={"status": "inactive"}),
        await api.put(f"{path}/mapping", json={"items": []}),
        await api.post(f"{path}/launch"),
        await api.post(f"{path}/syncs"),
        await _delete(api, world),
        await _delete(api, world, "/accounts"),
    ]
    assert [answer.status_code for answer in changes] == [409] * len(changes)
    assert (await api.get(path)).json()["status"] == "deleting"


async def test_people_known_from_elsewhere_stay_and_take_the_other_sources_name(
    api: Api, runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await open_world(runtime, monkeypatch)
    await other.sync(users=[user("ann", name="Ann of the other"), user("eve"), user("cid", active=False)])
    people = {p["email"]: p for p in (await api.get("/v1/people?limit=200")).json()["items"]}
    assert people["ann@example.com"]["name"] == "Ann"
    await _delete(api, world)
    await _finish(runtime, world.instance_id)
    ann = (await api.get(f"/v1/people/{people['ann@example.com']['id']}")).json()
    assert (ann["name"], ann["status"], ann["accounts"]) == ("Ann of the other", "active", 1)
    cid = (await api.get(f"/v1/people/{people['cid@example.com']['id']}")).json()
    assert (cid["status"], cid["accounts"]) == ("inactive", 1)
    assert (await api.get(f"/v1/people/{people['ben@example.com']['id']}")).status_code == 404
    assert await _traces(world, world.instance_id) == []
    await other.sync(users=[])


async def test_people_are_inactive_before_their_rows_go(api: Api, runtime: Runtime, world: World) -> None:
    ben = (await api.get("/v1/people?q=ben")).json()["items"][0]["id"]
    await _delete(api, world)
    stopping = asyncio.Event()
    kept = removal._STEPS[1]

    async def stop(_connection: Any, _instance_id: UUID) -> bool:
        stopping.set()
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "_STEPS", (removal._STEPS[0], stop, kept))
        assert (await run_removal(runtime, world.instance_id, stopping)) is not None
    assert (await api.get(f"/v1/people/{ben}")).json()["status"] == "inactive"
    await _finish(runtime, world.instance_id)


async def test_a_running_sync_is_cancelled_and_writes_nothing_more(api: Api, runtime: Runtime, world: World) -> None:
    async def delete(stream: str, number: int) -> None:
        if (stream, number) == ("users", 1):
            assert (await _delete(api, world)).status_code == 202

    sync = await world.sync(users=[user(f"new{n}") for n in range(6)], before_page=delete)
    assert sync.status == "cancelled"
    await _finish(runtime, world.instance_id)
    assert await _traces(world, world.instance_id, "new1") == []


async def test_a_removal_that_was_lost_is_asked_for_again(api: Api, runtime: Runtime, world: World) -> None:
    await _delete(api, world)
    await world.fetch("DELETE FROM pgqueuer WHERE entrypoint = 'removal'")
    await due.adopt_removals(runtime)
    await due.adopt_removals(runtime)
    jobs = await world.fetch("SELECT 1 FROM pgqueuer WHERE dedupe_key = $1", f"removal:{world.instance_id}")
    assert len(jobs) == 1
    await _finish(runtime, world.instance_id)
    assert await run_removal(runtime, world.instance_id, asyncio.Event()) is None


async def test_deleted_accounts_come_back_with_the_next_sync(api: Api, runtime: Runtime, world: World) -> None:
    key = world.instance_id
    [wiki] = (await api.get(f"/v1/applications?instance_id={key}&kind=detected")).json()["items"]
    answer = await _delete(api, world, "/accounts")
    assert (answer.status_code, answer.json()["status"]) == (202, "live")
    assert await _number(api, f"/v1/accounts?instance_id={key}") == 0
    usage = (await api.get(f"/v1/applications/{wiki['id']}/usage")).json()
    assert (usage["seats"], usage["used"], usage["covered_days"]) == (0, 0, 0)
    assert (await api.get(f"/v1/applications/{wiki['id']}")).json()["seats"] == 0

    sync_id = await world.request()
    again = await work_sync(runtime, {"sync_id": str(sync_id)}, asyncio.Event())
    assert again is not None  # what leaves is not read anew before it is gone
    await _finish(runtime, world.instance_id)
    assert await _traces(world, "dora") == []
    assert await world.covered() == []
    assert await work_sync(runtime, {"sync_id": str(sync_id)}, asyncio.Event()) is None
    assert (await world.look(sync_id)).status == "succeeded"
    assert len(await world.accounts()) == 4
    assert len(await world.accounts("wiki")) == 3
    assert await world.days("wiki", "ann") == [days_ago(2).astimezone(UTC).date()]
    assert len(await world.covered()) == 90
    assert set((await world.people()).values()) == {"active"}
    assert isinstance((await world.instance()).covered_until, datetime)


async def test_integrating_again_brings_everyone_back(
    api: Api, runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _delete(api, world)
    await _finish(runtime, world.instance_id)
    again = await open_world(runtime, monkeypatch)
    await _fill(again)
    assert len(await again.accounts()) == 4
    assert await again.people() == {
        "ann@example.com": "active",
        "ben@example.com": "active",
        "cid@example.com": "active",
        "Dora": "active",
    }


async def test_removals_and_syncs_that_share_people_end_well(
    api: Api, runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits in a circle, and nobody is tied to a person who is just taken away."""
    shared = [user(f"s{n:02}") for n in range(24)]
    worlds = [world, *[await open_world(runtime, monkeypatch) for _ in range(2)]]
    for each in worlds:
        each.vendor.page_size = 4
        await each.sync(users=shared, seats={}, uses=[], applications=[])
    await _delete(api, worlds[0])
    await _delete(api, worlds[1], "/accounts")

    outcomes = await asyncio.gather(
        worlds[2].sync(users=list(reversed(shared))),
        _finish(runtime, worlds[0].instance_id),
        _finish(runtime, worlds[1].instance_id),
    )
    assert outcomes[0].status == "succeeded", outcomes[0].failure
    assert len(await worlds[2].active()) == 24
    assert set((await worlds[2].people()).values()) == {"active"}
