"""A database that breaks off, or has no connection or no room left: told as what it is, and made up for afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.core.database import Database
from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.vault import generate_key
from tests.survival.crowd import Crowd, crowding
from tests.survival.dying import Nursery
from tests.survival.lab import Forked
from tests.survival.postgres import OwnServer, own_server
from tests.survival.processes import ADMIN_KEY, Caller, Replica, environment, running
from tests.survival.test_killed_plans import _launch

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    with own_server(tmp_path_factory.mktemp("own")) as server:
        yield server


async def _asked(client: httpx.AsyncClient, url: str, within_s: float = 2) -> httpx.Response:
    return await client.get(url, headers=HEADERS, timeout=within_s)


@pytest.mark.timeout(200)
async def test_a_database_that_breaks_off_under_load_costs_nothing_acknowledged(
    own: OwnServer, tmp_path: Path, nursed: Nursery
) -> None:
    world = World(people=60, applications=4, days=3, activity=0.2)
    settings = environment(own.url, tmp_path, generate_key(), SEATWISE_LEASE_S="2")
    with VendorServer(OktaVendor(world)) as vendor:
        two: list[Replica] = [Forked(settings, tmp_path, nursery=nursed) for _ in range(2)]
        async with running(two), httpx.AsyncClient(timeout=10) as client:
            caller = Caller(two, client)
            vendor.faults.latency_s = 0.1
            _, sync_id = await _launch(caller, vendor)
            crowd = Crowd([replica.url for replica in two], client)
            async with crowding(crowd, 4):
                await asyncio.sleep(0.7)
                await asyncio.to_thread(own.break_off)
                for replica in two:
                    assert (await _asked(client, f"{replica.url}/healthz")).status_code == 200
                    assert (await _asked(client, f"{replica.url}/readyz")).status_code == 503
                    refused = await _asked(client, f"{replica.url}/v1/people")
                    assert refused.status_code == 503
                    assert int(refused.headers["retry-after"]) > 0
                    assert refused.json()["detail"] == "The database cannot be reached right now. Try again shortly."
                before, vendor.faults.latency_s = len(crowd.acknowledged), 0.0
                await asyncio.to_thread(own.start)
                began = time.monotonic()
                await crowd.until(before + 20)
                print(f"writes again {time.monotonic() - began:.2f} s after the start")  # noqa: T201  a run's figures
            await crowd.check()
            assert set(crowd.statuses) <= {200, 201, 409, 503, "broken"}
            sync = await caller.settled(sync_id)
            assert sync["status"] == "succeeded", sync["failure"]
            assert {people["status"] for people in await caller.everything("/v1/people")} <= {"active", "inactive"}
            print(crowd.figures())  # noqa: T201  the figures of a run


async def test_a_connection_that_breaks_off_in_use_is_told_as_that_and_replaced(database: Database) -> None:
    with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError)):
        await _broken_off_in_use(database)
    assert await database.pool.fetchval("SELECT 1") == 1


async def _broken_off_in_use(database: Database) -> None:
    async with database.pool.acquire() as held:
        await database.pool.execute("SELECT pg_terminate_backend($1)", held.get_server_pid())
        await asyncio.sleep(0.05)
        await held.fetchval("SELECT 1")


@pytest.mark.timeout(120)
async def test_callers_wait_for_a_full_pool_and_the_probe_does_not(
    database_url: str, tmp_path: Path, nursed: Nursery
) -> None:
    settings = environment(database_url, tmp_path, generate_key(), SEATWISE_DATABASE_POOL_SIZE="2")
    limits = httpx.Limits(max_connections=100)
    replica = Forked(settings, tmp_path, nursery=nursed)
    async with running([replica]), httpx.AsyncClient(timeout=40, limits=limits) as client:
        body = {"name": "a webhook", "url": "http://127.0.0.1:9/", "events": [], "auth": {"type": "none"}}
        slow = ["/v1/accounts", "/v1/people", "/v1/overview", "/v1/applications", "/v1/instances"]
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute("LOCK TABLE accounts, people, applications, webhooks IN ACCESS EXCLUSIVE MODE")
            reading = [asyncio.create_task(_asked(client, replica.url + path, 40)) for path in slow * 4]
            writing = [
                asyncio.create_task(client.post(f"{replica.url}/v1/webhooks", headers=HEADERS, json=body))
                for _ in range(6)
            ]
            await asyncio.sleep(0.5)
            for _ in range(5):
                assert (await _asked(client, f"{replica.url}/healthz", 1)).status_code == 200
                await asyncio.sleep(0.1)
            assert (await _asked(client, f"{replica.url}/readyz", 30)).status_code == 503
            assert not all(task.done() for task in reading)
        await connection.close()
        answers = [answer.status_code for answer in await asyncio.gather(*reading, *writing)]
        assert set(answers) <= {200, 201, 503}
        for path in ("/readyz", "/v1/accounts"):
            assert (await _asked(client, replica.url + path)).status_code == 200
