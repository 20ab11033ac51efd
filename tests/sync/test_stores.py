"""Tokens and budgets shared by processes: three databases opened apart stand for three replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest_asyncio

from app.core.clock import now
from app.core.database import Database, open_database
from app.core.ids import new_id
from app.demo.vendors.ironclad import CLIENT_ID, CLIENT_SECRET, IroncladVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.http.ports import Observed, Quota
from app.models import Credential
from app.sync.connection import connect
from app.sync.runtime import Runtime
from app.sync.secrets import sealing_context
from app.sync.stores import SharedBudget


@pytest_asyncio.fixture
async def processes(database_url: str) -> AsyncIterator[list[Database]]:
    opened = [await open_database(database_url, size=3) for _ in range(3)]
    yield opened
    for database in opened:
        await database.close()


async def _clickwrap(runtime: Runtime) -> Credential:
    credential_id = new_id()
    secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    async with runtime.database.session() as session:
        session.add(
            Credential(
                id=credential_id,
                name="Clickwrap",
                connector="ironclad-clickwrap",
                scheme="oauth2_client_credentials",
                storage="vault",
                sealed=runtime.vault.seal(msgspec.json.encode(secrets), context=sealing_context(credential_id)),
                secrets_set=list(secrets),
                options={},
                created_by={},
            )
        )
    async with runtime.database.session() as session:
        return await session.get_one(Credential, credential_id)


async def test_one_renewal_serves_three_processes_though_each_request_ends_the_old_token(
    runtime: Runtime, processes: list[Database]
) -> None:
    credential = await _clickwrap(runtime)
    clickwrap = IroncladVendor(World(people=50))
    async with VendorServer(clickwrap) as vendor:
        options = {"api_url": vendor.api_url, "auth_url": vendor.auth_url}

        async def read(database: Database) -> int:
            replica = Runtime(runtime.settings, database, runtime.vault)
            async with connect(replica, credential, options) as link:
                return sum([len(page.records) async for page in link.connector.users()])

        def asked() -> int:
            return len([seen for seen in vendor.requests if seen.path == "/oauth/token"])

        counts = await asyncio.gather(*(read(database) for database in processes))
        assert asked() == 1
        clickwrap.tenant.tokens.revoke()
        assert await asyncio.gather(*(read(database) for database in processes)) == counts
        assert asked() == 2
        async with runtime.database.pool.acquire() as connection:
            rows = await connection.fetch("SELECT sealed FROM vendor_tokens WHERE credential_id = $1", credential.id)
        assert len(rows) == 1


async def test_processes_share_the_window_that_the_vendor_tells(processes: list[Database]) -> None:
    budgets = [SharedBudget(database, "okta:shared", 50) for database in processes]
    assert await budgets[0].take("users", None) == 0.0
    assert await budgets[1].take("users", None) > 0.0
    await budgets[0].observe("users", Observed(limit=20, remaining=19, resets_at=now() + timedelta(seconds=60)))
    granted = 1
    for number in range(30):
        if await budgets[number % 3].take("users", None) == 0.0:
            granted += 1
    assert granted == 10


async def test_processes_share_a_documented_quota_and_a_vendors_word_to_wait(processes: list[Database]) -> None:
    budgets = [SharedBudget(database, "pingone:shared", 50) for database in processes]
    quota = Quota(100, 60)
    granted = [await budgets[number % 3].take("configuration", quota) == 0.0 for number in range(30)]
    assert sum(granted) == 10
    await budgets[0].block("audit", now() + timedelta(seconds=30))
    assert 29 < await budgets[2].take("audit", quota) <= 30


async def test_who_asks_at_the_same_moment_gets_no_more_together_than_the_share(processes: list[Database]) -> None:
    budgets = [SharedBudget(database, "pingone:crowd", 50) for database in (*processes, *processes)]
    quota = Quota(100, 60)
    waits = await asyncio.gather(*(budgets[number % 6].take("configuration", quota) for number in range(40)))
    assert sum(wait == 0.0 for wait in waits) == 10
