"""Three replicas and one clock: a replica killed at a fire or in a removal costs no fire, doubles none, loses nothing.

SEATWISE_TEST_FIRES sets how often a replica is killed at a fire (4; the whole exercise is 20).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.vault import generate_key
from tests.survival.processes import Caller, Replica, environment, replicas

FIRES = int(os.environ.get("SEATWISE_TEST_FIRES", "4"))
KEYS = generate_key()


def _vendor(people: int, *, latency_s: float = 0.0) -> VendorServer:
    vendor = VendorServer(OktaVendor(World(people=people, applications=2, days=3, activity=0.2)))
    vendor.faults.latency_s = latency_s
    return vendor


async def _launch(caller: Caller, vendor: VendorServer, names: list[str]) -> list[str]:
    """Ids of instances of one vendor, each synced once."""
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
    ids, syncs = [], []
    for name in names:
        body = {
            "name": name,
            "connector": "okta",
            "credential_id": credential["id"],
            "schedule": {"every": "31d"},
            "sync": {"scope": "users"} if len(names) > 1 else {"lookback_days": 3},
        }
        instance = await caller.call("POST", "/v1/instances", expect=201, json=body)
        sync = await caller.call("POST", f"/v1/instances/{instance['id']}/launch", expect=202)
        ids.append(instance["id"])
        syncs.append(sync["id"])
    for sync_id in syncs:
        assert (await caller.settled(sync_id))["status"] == "succeeded"
    return ids


async def _fire(database_url: str, ids: list[str], when: str = "now()") -> Any:
    """Let all of them fire at one moment; it is answered with that moment."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            f"UPDATE instances SET next_sync_at = date_trunc('second', {when}) WHERE id = ANY($1::uuid[])"
            " RETURNING next_sync_at",
            ids,
        )
    finally:
        await connection.close()
    return rows[0][0]


async def _let_pass(database_url: str, time: str) -> None:
    """As if that much time had passed since any process ticked."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"UPDATE ticks SET at = at - interval '{time}'")
    finally:
        await connection.close()


async def _answers(database_url: str, fire: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url)
    try:
        return list(
            await connection.fetch(
                "SELECT instance_id::text, status, worker, created_at - scheduled_for AS late, started_at - created_at"
                " AS waited FROM syncs WHERE scheduled_for = $1",
                fire,
            )
        )
    finally:
        await connection.close()


async def _settled(database_url: str, fire: Any, number: int, within_s: float = 60) -> list[asyncpg.Record]:
    async with asyncio.timeout(within_s):
        while True:
            answers = await _answers(database_url, fire)
            if len(answers) >= number and not {a["status"] for a in answers} & {"queued", "running"}:
                return answers
            await asyncio.sleep(0.2)


@pytest.mark.timeout(90 + 40 * FIRES)
async def test_a_replica_killed_at_a_fire_loses_none_and_doubles_none(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(11)
    settings = environment(database_url, tmp_path, KEYS, SEATWISE_LEASE_S="2", SEATWISE_HOST_CONCURRENCY="2")
    with _vendor(8) as vendor:
        async with replicas(3, settings, tmp_path) as running, httpx.AsyncClient() as client:
            ids = await _launch(Caller(running, client), vendor, [f"Okta {n}" for n in range(12)])
            for _ in range(FIRES):
                fire = await _fire(database_url, ids)
                await asyncio.sleep(chance.uniform(0.0, 2.5))
                victim = chance.choice(running)
                victim.kill()
                answers = await _settled(database_url, fire, len(ids))
                assert Counter(a["instance_id"] for a in answers) == Counter(ids)
                assert {a["status"] for a in answers} == {"succeeded"}
                victim.start()
                await victim.ready()


async def test_a_due_fire_starts_within_seconds_and_work_spreads(database_url: str, tmp_path: Path) -> None:
    settings = environment(database_url, tmp_path, KEYS, SEATWISE_SYNC_CONCURRENCY="2")
    with _vendor(4, latency_s=0.1) as vendor:
        async with replicas(3, settings, tmp_path) as running, httpx.AsyncClient() as client:
            ids = await _launch(Caller(running, client), vendor, [f"Spread {n}" for n in range(9)])
            fire = await _fire(database_url, ids)
            answers = await _settled(database_url, fire, len(ids))
            assert max(a["late"].total_seconds() for a in answers) < 5
            assert min(a["waited"].total_seconds() for a in answers) < 1
            assert len({a["worker"] for a in answers}) > 1


async def test_a_fire_that_came_while_all_were_down_runs_late_and_is_told(database_url: str, tmp_path: Path) -> None:
    settings = environment(database_url, tmp_path, KEYS)
    with _vendor(4) as vendor:
        async with replicas(1, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            ids = await _launch(caller, vendor, ["Away 1", "Away 2"])
            running[0].kill()
            fire = await _fire(database_url, ids, "now() - interval '10 minutes'")
            await _let_pass(database_url, "11 minutes")
            running[0].start()
            await running[0].ready()
            await _settled(database_url, fire, 2)
            told = await caller.call("GET", f"/v1/notifications?kind=sync_missed&instance_id={ids[0]}")
            assert len(told["items"]) == 1


@pytest.mark.timeout(120)
async def test_a_removal_killed_in_the_middle_is_finished_by_another(database_url: str, tmp_path: Path) -> None:
    settings = environment(database_url, tmp_path, KEYS)
    with _vendor(3000) as vendor:
        async with replicas(2, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            [key] = await _launch(caller, vendor, ["Going"])
            answer = await caller.call("DELETE", f"/v1/instances/{key}?confirm=Going", expect=202)
            assert answer["status"] == "deleting"
            await asyncio.sleep(0.15)
            running[0].kill()
            await asyncio.sleep(0.1)
            running[1].kill()
            running[0].start()
            await running[0].ready()
            await _gone(caller, key)
    connection = await asyncpg.connect(database_url)
    try:
        for table in ("accounts", "vendor_users", "applications", "syncs", "coverage_years"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE instance_id = $1", key) == 0
        deleted = await connection.fetchval("SELECT count(*) FROM events WHERE type = 'instance.deleted'")
        assert deleted == 1
    finally:
        await connection.close()


async def _gone(caller: Caller, key: str) -> None:
    """Until the instance is listed no more; before that it is deleting."""
    async with asyncio.timeout(60):
        while True:
            listed = {i["id"]: i["status"] for i in await caller.everything("/v1/instances")}
            if key not in listed:
                return
            assert listed[key] == "deleting"
            await asyncio.sleep(0.2)


async def test_a_worker_process_drains_as_serve_does(database_url: str, tmp_path: Path) -> None:
    settings = environment(database_url, tmp_path, KEYS)
    with _vendor(60, latency_s=0.1) as vendor:
        async with replicas(1, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            [key] = await _launch(caller, vendor, ["Drained"])
            running[0].kill()
            with _worker(running[0]) as worker:
                fire = await _fire(database_url, [key])
                await _begun(database_url, fire)
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait, 30) == 0
            [left] = await _answers(database_url, fire)
            assert left["status"] == "running"
            running[0].start()
            await running[0].ready()
            [answer] = await _settled(database_url, fire, 1)
            assert answer["status"] == "succeeded"


async def _begun(database_url: str, fire: Any) -> None:
    async with asyncio.timeout(20):
        while True:
            if any(a["status"] == "running" for a in await _answers(database_url, fire)):
                return
            await asyncio.sleep(0.05)


def _worker(replica: Replica) -> subprocess.Popen[bytes]:
    with (replica.folder / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", "worker"],
            env=replica.environment,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
