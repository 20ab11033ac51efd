"""A process killed at each named point of a plan, of applying it, and of a removal; another finishes what it left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from tests.survival.dying import Point
from tests.survival.lab import ALL, YESTERDAY, Lab, asked_to_read, posted

MAKING = [
    Point("app.sync.plan_read:PlanLease.transaction", "left", 4),
    Point("app.sync.plan_rehearsal:Book.write", "after"),
    Point("app.sync.plan_run:rehearse", "after"),
]
APPLYING = [
    Point("app.sync.work:Work.writing", "left", 2),
    Point("app.sync.finish:tell_success", "after"),
]
APPLYING_HELD = [
    Point("app.sync.plan_apply:take_away", "after"),
]
REMOVING = [
    Point("app.sync.removal:_STEPS", "before", 2),
    Point("app.sync.removal:_STEPS", "after", 9),
    Point("app.sync.removal:_end", "after"),
]
if ALL:
    MAKING += [
        Point("app.sync.plan_rehearsal:_copy_books", "after"),
        Point("app.sync.plan_run:claim_plan", "after"),
        Point("app.sync.plan_read:keep_page", "after", 2),
        Point("app.sync.plan_run:rehearse", "before"),
    ]
    APPLYING += [Point("app.sync.finish:judge", "after")]
    APPLYING_HELD += [Point("app.sync.finish:tell_success", "after"), Point("app.sync.run:apply_held", "after")]
    REMOVING += [
        *(Point("app.sync.removal:_STEPS", "after", nth) for nth in range(1, 12)),
        Point("app.sync.removal:_end", "before"),
        Point("app.sync.removal:_remove", "after"),
    ]


@pytest.fixture
def world() -> World:
    return World(people=60, applications=4, days=3, today=YESTERDAY, activity=0.2)


@pytest.fixture
def vendor(world: World, small_pages: None) -> Iterator[VendorServer]:
    with VendorServer(OktaVendor(world)) as serving:
        yield serving


async def _read(lab: Lab, name: str, vendor: VendorServer) -> str:
    """An instance that has been read once."""
    async with lab.api(name) as api:
        instance_id, _ = await asked_to_read(api, vendor, "Okta")
    await lab.finished(name)
    return instance_id


def _many_leave(world: World) -> None:
    for user in [user["id"] for user in world.okta.users[10:40]]:
        world.okta.remove_user(user)


@pytest.mark.timeout(300)
async def test_a_plan_killed_at_any_point_names_and_changes_the_same(
    lab: Lab, world: World, vendor: VendorServer
) -> None:
    async with lab.copy() as base:
        instance_id = await _read(lab, base, vendor)
        _many_leave(world)
        async with lab.api(base) as api:
            plan = await posted(api, f"/v1/instances/{instance_id}/plans")
        await lab.as_if_nothing_had_been(base, MAKING)
        await lab.finished(base)
        async with lab.api(base) as api:
            made = (await api.get(f"/v1/plans/{plan['id']}")).json()
            assert made["counts"]["deactivated"] > 30
            await posted(api, f"/v1/plans/{plan['id']}/apply", {"digest": made["digest"]})
        await lab.as_if_nothing_had_been(base, APPLYING)


@pytest.mark.timeout(300)
async def test_a_held_plan_killed_while_it_is_applied_takes_away_what_it_named(
    lab: Lab, world: World, vendor: VendorServer
) -> None:
    async with lab.copy() as base:
        instance_id = await _read(lab, base, vendor)
        _many_leave(world)
        async with lab.api(base) as api:
            await posted(api, f"/v1/instances/{instance_id}/syncs")
        await lab.finished(base)
        async with lab.api(base) as api:
            held = (await api.get(f"/v1/instances/{instance_id}")).json()["held_plan_id"]
            digest = (await api.get(f"/v1/plans/{held}")).json()["digest"]
            await posted(api, f"/v1/plans/{held}/apply", {"digest": digest})
        await lab.as_if_nothing_had_been(base, APPLYING_HELD)


@pytest.mark.timeout(300)
async def test_a_removal_killed_at_any_point_is_finished_and_told_once(lab: Lab, vendor: VendorServer) -> None:
    async with lab.copy() as base:
        instance_id = await _read(lab, base, vendor)
        async with lab.api(base) as api:
            answer = await api.delete(f"/v1/instances/{instance_id}?confirm=Okta")
            assert answer.status_code == 202, answer.text
        await lab.as_if_nothing_had_been(base, REMOVING)
        await lab.finished(base)
        left = await lab.figures(base)
        assert not any(left[what] for what in ("people", "users", "applications", "accounts", "days", "instances"))
        assert [row[0] for row in left["events"]].count("instance.deleted") == 1
