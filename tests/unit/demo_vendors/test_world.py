"""The invented world: the same for everybody, with the awkward cases in it."""

from __future__ import annotations

from datetime import timedelta

from app.demo.vendors.okta_records import STATUSES
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import NOW, TODAY


def test_the_same_seed_gives_the_same_world() -> None:
    one, other = (World(3, people=30, days=10, today=TODAY) for _ in range(2))
    assert one.okta.users == other.okta.users
    assert one.okta.uses == other.okta.uses
    assert one.pingone.assignments == other.pingone.assignments
    assert World(4, people=30, days=10, today=TODAY).okta.users != one.okta.users


def test_the_same_humans_are_at_several_vendors_sometimes_in_other_letters(world: World) -> None:
    okta_mails = {u["profile"]["email"] for u in world.okta.users}
    ping_mails = [u["email"] for u in world.pingone.users if "email" in u]
    click_mails = [u["email"] for u in world.ironclad.users]
    assert len(okta_mails) == 60
    assert {m.lower() for m in ping_mails} & okta_mails
    assert {m.lower() for m in click_mails} <= okta_mails
    assert any(m != m.lower() for m in ping_mails)
    assert any(m != m.lower() for m in click_mails)


def test_no_sign_on_lies_in_the_future_and_weekdays_are_heavier(world: World) -> None:
    times = [at for _, _, at, _ in world.okta.uses]
    assert min(times).date() >= TODAY - timedelta(days=29)
    assert max(times) <= NOW
    assert sum(at.weekday() == 1 for at in times) > 3 * sum(at.weekday() == 6 for at in times)
    assert len({event for *_, event in world.okta.uses}) == len(times)


def test_seats_that_nobody_ever_uses_exist(world: World) -> None:
    used = {(app, user) for app, user, _, _ in world.okta.uses}
    assert world.okta.assignments - used
    assert world.okta.assignments & used


def test_the_awkward_cases_are_there(world: World) -> None:
    assert {u["status"] for u in world.okta.users} == set(STATUSES)
    users = world.pingone.users
    assert any("email" not in u for u in users)
    assert any("name" not in u for u in users)
    assert any("address" not in u for u in users)
    assert any(u.get("type") == "" for u in users)
    apps = world.pingone.applications
    rules = [a.get("accessControl", {}) for a in apps]
    assert {r["group"]["type"] for r in rules if "group" in r} == {"ANY_GROUP", "ALL_GROUPS"}
    assert {"role": {"type": "ADMIN_USERS_ONLY"}} in rules
    assert {} in rules
    assert {a["enabled"] for a in apps} == {True, False}
    assert {"WORKER", "SERVICE", "PING_ONE_PORTAL", "PING_ONE_ADMIN_CONSOLE"} <= {a["type"] for a in apps}
    names = [a["name"] for a in world.okta.applications]
    assert {"saasure", "okta_enduser"} < set(names)
    assert names.count("ledgerly") == 2
    assert {a["status"] for a in world.okta.applications} == {"ACTIVE", "INACTIVE"}


def test_the_deprovisioned_have_sign_ons_but_no_seats(world: World) -> None:
    gone = {u["id"] for u in world.okta.users if u["status"] == "DEPROVISIONED"}
    assert not gone & {user for _, user in world.okta.assignments}
    ada = next(u["id"] for u in world.okta.users if u["status"] == "ACTIVE")
    world.okta.set_status(ada, "DEPROVISIONED")
    assert ada not in {user for _, user in world.okta.assignments}
    assert ada in {user for _, user, _, _ in world.okta.uses}
