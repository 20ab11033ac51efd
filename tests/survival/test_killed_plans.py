"""Two replicas, both killed while a plan is made and again while it is applied: what was named is what changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.vault import generate_key
from tests.survival.processes import Caller, Replica, environment, replicas


async def _launch(caller: Caller, vendor: VendorServer) -> tuple[str, str]:
    options = {"sso_url": "https://acme.okta.com", "api_url": vendor.api_url, "auth_url": vendor.auth_url}
    credential = {
        "name": "Okta", "connector": "okta", "scheme": "api_token", "options": options,
        "secrets": {"api_token": vendor.credentials.api_token},
    }  # fmt: skip
    made = await caller.call("POST", "/v1/credentials", expect=201, json=credential)
    instance = {
        "name": "Planned", "connector": "okta", "credential_id": made["id"], "schedule": None,
        "sync": {"lookback_days": 5},
    }  # fmt: skip
    made = await caller.call("POST", "/v1/instances", expect=201, json=instance)
    sync = await caller.call("POST", f"/v1/instances/{made['id']}/launch", expect=202)
    return made["id"], sync["id"]


async def _planned(caller: Caller, plan_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            plan: dict[str, Any] = await caller.call("GET", f"/v1/plans/{plan_id}")
            if plan["status"] != "planning":
                return plan
            await asyncio.sleep(0.1)


async def _kill_all(running: list[Replica]) -> None:
    await asyncio.sleep(0.3)
    for victim in running:
        victim.kill()
    for victim in running:
        victim.start()


def _names(changes: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted((change["kind"], change["action"], change["name"]) for change in changes)


@pytest.mark.timeout(300)
async def test_killed_replicas_make_and_apply_what_was_named(database_url: str, tmp_path: Path) -> None:
    world = World(people=60, applications=6, days=5, activity=0.2)
    vendor = VendorServer(OktaVendor(world))
    settings = environment(database_url, tmp_path, generate_key(), SEATWISE_LEASE_S="2")
    with vendor:
        async with replicas(2, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            instance_id, sync_id = await _launch(caller, vendor)
            assert (await caller.settled(sync_id))["status"] == "succeeded"
            for user in [user["id"] for user in world.okta.users[10:40]]:
                world.okta.remove_user(user)
            vendor.faults.latency_s = 0.1
            made = await caller.call("POST", f"/v1/instances/{instance_id}/plans", expect=202)
            await _kill_all(running)
            plan = await _planned(caller, made["id"])
            assert plan["status"] == "ready", plan["failure"]
            named = await caller.everything(f"/v1/plans/{plan['id']}/changes")
            assert plan["counts"]["deactivated"] > 30
            path = f"/v1/plans/{plan['id']}/apply"
            sync = await caller.call("POST", path, expect=202, json={"digest": plan["digest"]})
            await _kill_all(running)
            done = await caller.settled(sync["id"])
            assert (done["status"], done["trigger"], done["vendor_calls"]) == ("succeeded", "plan", 0), done["failure"]
            assert _names(await caller.everything(f"/v1/syncs/{sync['id']}/changes")) == _names(named)
