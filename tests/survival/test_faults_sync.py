"""A process killed at each named point of a sync: another finishes it, and the books are those of an undisturbed run.

SEATWISE_TEST_FAULTS=all kills after every commit of the sync besides.
"""

from __future__ import annotations

import pytest

from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from tests.survival.dying import Point
from tests.survival.lab import ALL, YESTERDAY, Lab, asked_to_read

POINTS = [
    Point("app.sync.stream_users:apply_users", "after", 2),
    Point("app.sync.work:Work.writing", "left", 3),
    Point("app.sync.finish:judge", "after"),
    Point("app.sync.finish:tell_success", "after"),
    Point("app.sync.run:succeed", "after"),
]
MORE = [
    Point("app.sync.run:claim", "after"),
    Point("app.sync.stream_users:apply_users", "before", 2),
    Point("app.sync.run:read_applications", "after"),
    Point("app.sync.run:read_assignments", "after"),
    Point("app.sync.run:succeed", "before"),
    Point("app.scheduler.messages:fan_out", "after"),
    *(Point("app.sync.lease:Lease.transaction", "left", nth) for nth in range(1, 15)),
]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("small_pages")
async def test_a_sync_killed_at_any_point_ends_as_if_nothing_had_been(lab: Lab) -> None:
    world = World(people=60, applications=4, days=3, today=YESTERDAY, activity=0.2)
    with VendorServer(OktaVendor(world)) as vendor:
        async with lab.copy() as base:
            async with lab.api(base) as api:
                await asked_to_read(api, vendor, "Okta")
            await lab.as_if_nothing_had_been(base, POINTS + MORE * ALL)
