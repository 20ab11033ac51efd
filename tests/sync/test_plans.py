"""A plan names what it would change, and its apply changes exactly that; what is too much to believe is asked first."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app import plans
from app.access.principal import Principal
from app.activity.keyset import Slice
from app.connectors.contract import Check
from app.core.errors import Conflict, CursorRefused, VendorBusy
from app.models import Instance, Plan, Sync
from app.sync import plan_run
from app.sync import run as conductor
from app.sync.leased import Again
from app.sync.plan_pages import ReplayConnector
from app.sync.plan_run import run_plan
from app.sync.runtime import Runtime
from tests.sync.conftest import OpenWorld
from tests.sync.world import World, application, user

BY = Principal("api_key", None, "Ada", "ada@example.com", "admin")
CROWD = [user(f"u{n:02}") for n in range(10)]
APPS = [application("ledger"), application("mail"), application("grp", access="groups", groups=("g",))]
SEATS = {"ledger": ["u00", "u01", "u02"], "mail": ["u03"], "g": ["u04", "u05"]}
OTHER = {
    "users": [*CROWD[2:], user("u01", name="Renamed"), user("new"), user("asleep", active=False)],
    "applications": [*APPS[:1], application("desk"), *APPS[2:]],
    "seats": {"ledger": ["u01", "u02", "u05"], "desk": ["u03", "new"], "g": ["u04", "u06"]},
}
Row = tuple[str, str, str, Any, Any]


class Killed(BaseException):
    """Stands for kill -9."""


@pytest_asyncio.fixture(autouse=True)
async def _alone(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has the books to itself, for people are shared by all instances; plans ask the storyteller too."""
    await runtime.database.pool.execute("TRUNCATE instances, people, history CASCADE")

    def connect(*given: Any) -> Any:
        return vars(conductor)["connect"](*given)

    monkeypatch.setattr(plan_run, "connect", connect)


async def ask(world: World, **vendor: Any) -> UUID:
    for name, value in vendor.items():
        setattr(world.vendor, name, value)
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id)
        return (await plans.create(session, instance, by=BY)).id


async def plan(world: World, **vendor: Any) -> Plan:
    plan_id = await ask(world, **vendor)
    assert await run_plan(world.runtime, plan_id, asyncio.Event()) is None
    return await look(world, plan_id)


async def look(world: World, plan_id: UUID | None) -> Plan:
    assert plan_id is not None
    async with world.runtime.database.session() as session:
        return await session.get_one(Plan, plan_id)


async def stale(world: World, made: Plan, digest: str | None = None) -> str | None:
    async with world.runtime.database.session() as session:
        instance, locked = await plans.lock(session, made.id)
        return await plans.stale(session, instance, locked, digest or made.digest or "")


async def ask_to_apply(world: World, made: Plan) -> UUID:
    async with world.runtime.database.session() as session:
        instance, locked = await plans.lock(session, made.id)
        assert await plans.stale(session, instance, locked, made.digest or "") is None
        return (await plans.apply(session, instance, locked, by=BY)).id


async def apply(world: World, made: Plan) -> Sync:
    sync_id = await ask_to_apply(world, made)
    await conductor.run_sync(world.runtime, sync_id, asyncio.Event())
    sync = await world.look(sync_id)
    assert sync.status == "succeeded", sync.failure
    return sync


async def named(world: World, made: Plan) -> list[Row]:
    rows, _ = await plans.list_changes(
        world.runtime.database.pool, made.id, Slice(100_000, descending=False), kind=None, action=None
    )
    return sorted((_row(each) for each in rows), key=repr)


async def changed(world: World, sync: Sync) -> list[Row]:
    rows = await world.fetch("SELECT * FROM history WHERE sync_id = $1", sync.id)
    made = {str(row["object_id"]) for row in rows if row["action"] == "created"}
    found = []
    for row in rows:
        after = row["after"] and {k: None if str(v) in made else v for k, v in row["after"].items()}
        found.append(_row({**row, "after": after}))
    return sorted(found, key=repr)


def _row(each: dict[str, Any]) -> Row:
    return each["kind"], each["action"], each["name"], each["before"], each["after"]


async def books(world: World) -> list[Any]:
    """Everything that a rehearsal might have touched."""
    tables = ("people", "vendor_users", "applications", "application_entries", "accounts", "history", "syncs")
    return [
        [tuple(row.values()) for row in await world.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in tables
    ]


async def test_a_plan_names_record_by_record_what_its_apply_changes(world: World) -> None:
    await world.sync(users=CROWD, applications=APPS, seats=SEATS)
    before = await books(world)
    made = await plan(world, **OTHER)
    assert made.status == "ready", made.failure
    assert await books(world) == before
    names = await named(world, made)
    assert ("people", "created", "New", None, {"name": "New", "email": "new@example.com", "status": "active"}) in names
    # The vendor moves on: what is applied is what was read for the plan.
    world.vendor.users, world.vendor.asked = [], []
    sync = await apply(world, made)
    assert world.vendor.asked == []
    assert await changed(world, sync) == names
    accounts = sync.counters["accounts"]
    assert {name: accounts[name] for name in made.counts} == made.counts | {"updated": accounts["updated"]}
    assert (await look(world, made.id)).status == "applied"
    assert await world.active("ledger") == {"u01", "u02", "u05"}
    assert await world.active("grp") == {"u04", "u06"}
    assert await world.fetch("SELECT 1 FROM plan_pages") == []


async def test_the_first_load_can_be_planned_too(world: World) -> None:
    made = await plan(world, users=CROWD, applications=APPS, seats=SEATS)
    assert made.counts == {"created": 16, "updated": 0, "deactivated": 0, "reactivated": 0}
    names = await named(world, made)
    assert await changed(world, await apply(world, made)) == names


async def test_the_same_read_gives_the_same_digest_and_another_digest_is_refused(world: World) -> None:
    await world.sync(users=CROWD)
    first = await plan(world, users=CROWD[1:])
    second = await plan(world)
    assert first.digest == second.digest
    assert await stale(world, first, "0" * 64) is not None
    assert await stale(world, first) is None
    assert (await plan(world, users=CROWD[2:])).digest != first.digest


async def test_a_later_sync_makes_a_plan_old(world: World) -> None:
    await world.sync(users=CROWD)
    made = await plan(world, users=CROWD[1:])
    await world.sync(users=CROWD)
    assert (await look(world, made.id)).status == "superseded"
    assert await stale(world, made) is not None


async def test_a_change_to_a_named_row_makes_a_plan_old_and_another_row_does_not(
    world: World, opening: OpenWorld
) -> None:
    await world.sync(users=CROWD)
    made = await plan(world, users=CROWD[1:])
    other = await opening()
    await other.sync(users=[user("someone")])
    assert await stale(world, made) is None
    await other.sync(users=[user("someone"), user("u00"), user("brand-new")])
    assert await stale(world, made) is None  # tied to the person, who is not changed
    await world.fetch(
        "INSERT INTO history (kind, object_id, name, action) SELECT 'accounts', id, name, 'updated' FROM accounts"
        " WHERE instance_id = $1 AND vendor_id = 'u00'",
        world.instance_id,
    )
    assert await stale(world, made) is not None
    assert (await look(world, made.id)).status == "superseded"


async def test_a_person_whom_another_brings_meanwhile_makes_a_plan_old(world: World, opening: OpenWorld) -> None:
    made = await plan(world, users=CROWD[:2])
    other = await opening()
    await other.sync(users=CROWD[1:2])
    assert await stale(world, made) is not None


async def test_changed_settings_make_a_plan_old(world: World) -> None:
    made = await plan(world, users=CROWD)
    await world.configure(username_format="username")
    assert await stale(world, made) is not None


async def test_a_killed_planning_goes_on_from_its_last_page(world: World) -> None:
    await world.sync(users=CROWD, applications=APPS, seats=SEATS)
    plan_id = await ask(world, **OTHER)
    points = [("users", 2), ("applications", 1), ("assignments/ledger", 1)]
    world.vendor.asked = []
    for point in points:
        await _kill_at(world, *point)
        with suppress(Killed, BaseExceptionGroup):
            await run_plan(world.runtime, plan_id, asyncio.Event())
        assert isinstance(await run_plan(world.runtime, plan_id, asyncio.Event()), Again)
        await world.fetch("UPDATE plans SET lease_until = now() - interval '1 second' WHERE status = 'planning'")
    assert await run_plan(world.runtime, plan_id, asyncio.Event()) is None
    made = await look(world, plan_id)
    assert made.status == "ready", made.failure
    assert world.vendor.asked.count("users 0") == 1
    names = await named(world, made)
    assert await changed(world, await apply(world, made)) == names


async def test_a_killed_apply_goes_on_and_changes_what_was_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.sync(users=CROWD, applications=APPS, seats=SEATS)
    made = await plan(world, **OTHER)
    names = await named(world, made)
    sync_id = await ask_to_apply(world, made)
    replayed = ReplayConnector.assignments

    def die(self: ReplayConnector, scope_id: str, cursor: str | None = None) -> Any:
        if scope_id == "desk":
            raise Killed
        return replayed(self, scope_id, cursor)

    monkeypatch.setattr(ReplayConnector, "assignments", die)
    with suppress(Killed, BaseExceptionGroup):
        await conductor.run_sync(world.runtime, sync_id, asyncio.Event())
    assert (await world.look(sync_id)).status == "running"
    monkeypatch.setattr(ReplayConnector, "assignments", replayed)
    await world.fetch("UPDATE syncs SET lease_until = now() - interval '1 second' WHERE id = $1", sync_id)
    await conductor.run_sync(world.runtime, sync_id, asyncio.Event())
    sync = await world.look(sync_id)
    assert sync.status == "succeeded", sync.failure
    assert await changed(world, sync) == names


async def test_a_cursor_that_the_vendor_forgot_begins_the_stream_anew(world: World) -> None:
    plan_id = await ask(world, users=CROWD)
    await _kill_at(world, "users", 2)
    with suppress(Killed, BaseExceptionGroup):
        await run_plan(world.runtime, plan_id, asyncio.Event())
    await world.fetch("UPDATE plans SET lease_until = NULL WHERE id = $1", plan_id)
    world.vendor.fail = {("users", 2): CursorRefused("no such page")}
    await run_plan(world.runtime, plan_id, asyncio.Event())
    made = await look(world, plan_id)
    assert (made.status, made.counts["created"]) == ("ready", 10)


async def test_a_read_that_broke_off_or_lost_a_permission_makes_no_plan(world: World) -> None:
    await world.sync(users=CROWD)
    broken = await plan(world, fail={("users", 1): VendorBusy("wait")})
    assert (broken.status, broken.digest) == ("failed", None)
    assert broken.failure is not None
    assert broken.failure["code"] == "vendor_busy"
    powerless = Check(ok=False, tenant=None, subject=None, missing=("Reader",), code="insufficient_permissions")
    refused = await plan(world, users=[], check=powerless)
    assert refused.failure is not None
    assert "Reader" in refused.failure["detail"]
    assert await world.fetch("SELECT 1 FROM plan_pages") == []
    with pytest.raises(Conflict):
        await stale(world, refused)


async def test_one_plan_is_made_at_a_time_and_a_discarded_one_stops(world: World) -> None:
    plan_id = await ask(world, users=CROWD)
    with pytest.raises(Conflict) as second:
        await ask(world)
    assert second.value.extensions == {"plan_id": str(plan_id)}

    async def discard(_stream: str, _page: int) -> None:
        world.vendor.before_page = None
        async with world.runtime.database.session() as session:
            await plans.discard(session, *(await plans.lock(session, plan_id)))

    world.vendor.before_page = discard
    assert await run_plan(world.runtime, plan_id, asyncio.Event()) is None
    assert (await look(world, plan_id)).status == "discarded"
    assert await world.fetch("SELECT 1 FROM plan_pages") == []


async def test_what_exceeds_the_limit_is_held_by_name_and_taken_only_when_applied(opening: OpenWorld) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=CROWD, applications=APPS, seats=SEATS)
    read_at = (await world.instance()).users_read_at
    sync = await world.sync(users=[*CROWD[5:], user("new")])
    instance = await world.instance()
    assert sync.held_plan_id == instance.held_plan_id is not None
    held = await look(world, instance.held_plan_id)
    assert (held.status, held.reason, held.sync_id) == ("held", "limit", sync.id)
    assert held.counts["deactivated"] == sync.counters["accounts"]["held"] == 10
    assert len(await world.active()) == 11
    told = await world.fetch("SELECT data FROM events WHERE type = 'plan.held'")
    assert [(row["data"]["plan_id"], row["data"]["reason"]) for row in told][-1:] == [(str(held.id), "limit")]
    asked = await world.fetch("SELECT subject, text FROM notifications WHERE key = $1", f"plan_held:{held.id}")
    assert "10 deactivations" in asked[0]["subject"]
    assert "20 %" in asked[0]["text"]
    names = await named(world, held)
    assert {n[2] for n in names if n[0] == "people"} == {f"U0{n}" for n in range(5)}
    done = await apply(world, held)
    assert done.trigger == "plan"
    assert await changed(world, done) == names
    assert await world.active() == {"u05", "u06", "u07", "u08", "u09", "new"}
    assert done.counters["accounts"]["deactivated"] == 10
    instance = await world.instance()
    assert (instance.held_plan_id, instance.status) == (None, "live")
    seen = await world.fetch("SELECT DISTINCT last_seen_at FROM accounts WHERE sync_id = $1", done.id)
    assert [row["last_seen_at"] for row in seen] == [read_at]
    again = await world.sync()
    assert again.counters["accounts"]["deactivated"] == again.counters["accounts"]["held"] == 0


@pytest.mark.parametrize("stream", ["users", "applications", "assignments"])
async def test_a_list_that_is_suddenly_empty_is_held(world: World, stream: str) -> None:
    await world.sync(users=CROWD, applications=APPS[:2], seats=SEATS)
    empty: dict[str, Any] = {"seats": {}} if stream == "assignments" else {stream: []}
    sync = await world.sync(**empty)
    assert sync.status == "succeeded"
    held = await look(world, sync.held_plan_id)
    assert (held.status, held.reason) == ("held", "zero_rows")
    assert len(await world.active()) == 10
    assert len(await world.active("ledger")) == 3
    names = await named(world, held)
    assert await changed(world, await apply(world, held)) == names
    assert await world.active("ledger") == set()
    assert len(await world.active()) == (0 if stream == "users" else 10)


async def test_the_next_finished_sync_replaces_what_is_held(opening: OpenWorld) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=CROWD)
    first = await look(world, (await world.sync(users=CROWD[6:])).held_plan_id)
    failed = await world.sync(users=CROWD[6:], fail={("users", 0): VendorBusy("wait")})
    assert failed.held_plan_id is None
    assert (await world.instance()).held_plan_id == first.id
    second = await look(world, (await world.sync(users=CROWD[7:])).held_plan_id)
    assert (await look(world, first.id)).status == "superseded"
    assert second.counts["deactivated"] == 7
    back = await world.sync(users=CROWD)
    assert (back.held_plan_id, (await world.instance()).held_plan_id) == (None, None)
    assert (await look(world, second.id)).status == "superseded"


async def test_a_held_plan_is_old_once_the_vendor_shows_one_of_its_users_again(opening: OpenWorld) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=CROWD)
    held = await look(world, (await world.sync(users=CROWD[6:])).held_plan_id)
    await world.sync(users=CROWD, fail={("users", 3): VendorBusy("wait")})
    assert await stale(world, held) is not None


@pytest.mark.parametrize(
    ("setting", "value", "old"),
    [
        ("deactivate", False, True),
        ("filters", [{"field": "status", "op": "eq", "value": "ACTIVE"}], True),
        ("deactivation_limit_percent", 50, False),
    ],
)
async def test_a_held_plan_is_old_once_the_settings_would_judge_otherwise(
    opening: OpenWorld, setting: str, value: object, *, old: bool
) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=CROWD)
    held = await look(world, (await world.sync(users=CROWD[6:])).held_plan_id)
    await world.configure(**{setting: value})
    assert (await stale(world, held) is not None) == old


async def test_users_without_accounts_are_held_as_people(opening: OpenWorld) -> None:
    world = await opening(scope="users", deactivation_limit_percent=20)
    await world.sync(users=CROWD)
    held = await look(world, (await world.sync(users=CROWD[6:])).held_plan_id)
    assert {row[0] for row in await named(world, held)} == {"people"}
    names = await named(world, held)
    assert await changed(world, await apply(world, held)) == names
    assert set((await world.people()).values()) == {"active", "inactive"}


async def test_a_person_with_another_seat_elsewhere_is_not_named(world: World, opening: OpenWorld) -> None:
    await world.sync(users=CROWD)
    other = await opening()
    await other.sync(users=CROWD[:1])
    made = await plan(world, users=CROWD[2:])
    assert {row[2] for row in await named(world, made) if row[0] == "people"} == {"U01"}
    names = await named(world, made)
    assert await changed(world, await apply(world, made)) == names


async def _kill_at(world: World, stream: str, page: int) -> None:
    async def die(at_stream: str, at_page: int) -> None:
        if (at_stream, at_page) == (stream, page):
            world.vendor.before_page = None
            raise Killed

    world.vendor.before_page = die


async def test_the_same_held_by_each_sync_is_asked_once(opening: OpenWorld) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=CROWD)
    for _ in range(3):
        await world.sync(users=CROWD[:4])
    asked = "SELECT key FROM notifications WHERE instance_id = $1 AND kind = 'plan_held'"
    assert len(await world.fetch(asked, world.instance_id)) == 1
    await world.sync(users=CROWD[:3])
    assert len(await world.fetch(asked, world.instance_id)) == 2
