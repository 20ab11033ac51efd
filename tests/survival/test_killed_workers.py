"""Two replicas on one database, one of them killed again and again in the middle of a sync.

Each sync settles once, by itself, and the books are those of the vendor's world: nothing twice, nothing lost, nobody
wrongly gone. SEATWISE_TEST_KILLS sets how many times (10; the whole exercise is 50).
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.vault import generate_key
from tests.survival.processes import Caller, environment, replicas

KILLS = int(os.environ.get("SEATWISE_TEST_KILLS", "10"))
KEYS = generate_key()
OWN = {"saasure", "okta_enduser"}


async def _launch(caller: Caller, vendor: VendorServer, name: str = "Okta") -> tuple[str, str]:
    options = {"sso_url": "https://acme.okta.com", "api_url": vendor.api_url, "auth_url": vendor.auth_url}
    credential = await caller.call(
        "POST",
        "/v1/credentials",
        expect=201,
        json={
            "name": "Okta",
            "connector": "okta",
            "scheme": "api_token",
            "secrets": {"api_token": vendor.credentials.api_token},
            "options": options,
        },
    )
    instance = await caller.call(
        "POST",
        "/v1/instances",
        expect=201,
        json={
            "name": name,
            "connector": "okta",
            "credential_id": credential["id"],
            "schedule": None,
            "sync": {"deactivation_limit_percent": 100, "lookback_days": 20},
        },
    )
    sync = await caller.call("POST", f"/v1/instances/{instance['id']}/launch", expect=202)
    return instance["id"], sync["id"]


async def _books(caller: Caller, instance_id: str) -> dict[str, Any]:
    """Seats, the listed users and the days in the window, as the API tells them."""
    accounts = await caller.everything(f"/v1/accounts?instance_id={instance_id}&window=20d")
    applications = {a["id"]: a for a in await caller.everything(f"/v1/applications?instance_id={instance_id}")}
    books: dict[str, Any] = {"users": {}, "seats": set(), "days": {}}
    for account in accounts:
        application = applications[account["application_id"]]
        if application["kind"] == "integrated":
            books["users"][account["vendor_id"]] = account["status"]
            continue
        key = (application["vendor_id"], account["vendor_id"])
        if account["seat"] == "assigned":
            books["seats"].add(key)
        if account["days_active"]:
            books["days"][key] = account["days_active"]
    assert len(accounts) == len({(a["application_id"], a["vendor_id"]) for a in accounts})
    return books


def _truth(world: World) -> dict[str, Any]:
    listed = {a["id"] for a in world.okta.applications if a["name"] not in OWN}
    inactive = {"DEPROVISIONED", "SUSPENDED"}
    first = world.now().date().toordinal() - 19
    days: dict[tuple[str, str], set[Any]] = {}
    for application, user, at, _ in world.okta.uses:
        if application in listed and at.date().toordinal() >= first:
            days.setdefault((application, user), set()).add(at.date())
    return {
        "users": {u["id"]: "inactive" if u["status"] in inactive else "active" for u in world.okta.users},
        "seats": {(app, user) for app, user in world.okta.assignments if app in listed},
        "days": {key: len(found) for key, found in days.items()},
    }


@pytest.mark.timeout(60 + 30 * KILLS)
async def test_killed_workers_leave_one_settled_sync_each_and_true_books(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    world = World(people=60, applications=6, days=20, activity=0.5)
    vendor = VendorServer(OktaVendor(world))
    vendor.faults.latency_s = 0.03
    settings = environment(database_url, tmp_path, KEYS, SEATWISE_LEASE_S="2")
    with vendor:
        async with replicas(2, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            instance_id, sync_id = await _launch(caller, vendor)
            syncs = []
            for number in range(KILLS):
                await asyncio.sleep(chance.uniform(0.0, 1.2))
                victim = chance.choice(running)
                victim.kill()
                victim.start()
                sync = await caller.settled(sync_id)
                assert sync["status"] == "succeeded", sync["failure"]
                syncs.append(sync_id)
                books = await _books(caller, instance_id)
                truth = _truth(world)
                assert {u for u, s in books["users"].items() if s == "active"} == {
                    u for u, s in truth["users"].items() if s == "active"
                }
                assert books["seats"] == truth["seats"]
                assert books["days"] == truth["days"]
                if number % 3 == 2:
                    world.okta.remove_user(chance.choice([u["id"] for u in world.okta.users[8:]]))
                sync_id = (await caller.call("POST", f"/v1/instances/{instance_id}/syncs", expect=202))["id"]
            await caller.settled(sync_id)
            listed = await caller.everything(f"/v1/instances/{instance_id}/syncs")
            assert {s["id"] for s in listed} == {*syncs, sync_id}
            assert {s["status"] for s in listed} == {"succeeded"}


async def test_sigterm_hands_the_run_to_the_other_replica(database_url: str, tmp_path: Path) -> None:
    world = World(people=60, applications=6, days=20, activity=0.5)
    vendor = VendorServer(OktaVendor(world))
    vendor.faults.latency_s = 0.1
    settings = environment(database_url, tmp_path, KEYS)
    with vendor:
        async with replicas(1, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            _, sync_id = await _launch(caller, vendor, "Okta two")
            await asyncio.sleep(0.7)
            status = await asyncio.to_thread(running[0].stop)
            assert status == 0
            before = len([seen for seen in vendor.requests if seen.path.endswith("/users")])
            running[0].start()
            sync = await caller.settled(sync_id)
            assert sync["status"] == "succeeded", sync["failure"]
            after = [seen for seen in vendor.requests if seen.path.endswith("/users")]
            assert before <= len(after)
