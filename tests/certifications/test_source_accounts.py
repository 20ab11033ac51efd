"""The accounts of mapped sources: read whole in the background, tried again, matched anew after syncs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from starlette.responses import Response

from app.certifications.source_accounts import SOURCE_JOB, adopt_sources, job_key, run_source
from app.core.clock import now
from app.scheduler.due import STEPS
from app.scheduler.jobs import JOBS
from tests.certifications.isc import Tenant, account, refusal, running
from tests.certifications.world import MAPPINGS, World
from tests.conftest import Api


@pytest_asyncio.fixture
async def world(api: Api) -> AsyncIterator[World]:
    async with running(Tenant()) as tenant:
        tenant.source("s1", "Ledgerly")
        made = await World.make(api, tenant)
        yield made
        await made.books.database.pool.execute("DELETE FROM source_mappings")
        await made.books.database.pool.execute("DELETE FROM pgqueuer")


async def kept(world: World) -> dict[str, UUID | None]:
    rows = await world.books.database.pool.fetch("SELECT native_identity, account_id FROM isc_accounts")
    return {row["native_identity"]: row["account_id"] for row in rows}


async def jobs(world: World) -> list[str]:
    rows = await world.books.database.pool.fetch("SELECT dedupe_key FROM pgqueuer WHERE entrypoint = $1", SOURCE_JOB)
    return [row["dedupe_key"] for row in rows]


async def forget_jobs(world: World) -> None:
    await world.books.database.pool.execute("DELETE FROM pgqueuer")


async def age(world: World, **columns: Any) -> None:
    for column, value in columns.items():
        await world.books.database.pool.execute(f"UPDATE source_mappings SET {column} = $1", value)


async def state(world: World, mapping: dict[str, Any]) -> dict[str, Any]:
    answered: dict[str, Any] = (await world.api.get(f"{MAPPINGS}/{mapping['id']}")).json()
    return answered


async def test_a_mapping_asks_for_its_accounts_and_the_job_keeps_them(world: World) -> None:
    ada = await world.books.account(world.application, "Ada", username="ADA", email="ada@example.com")
    alan = await world.books.account(world.application, "Alan", username="x", email="alan@example.com")
    world.tenant.accounts["s1"] = [account(n, f"{n}", f"n{n}") for n in range(600)]
    world.tenant.accounts["s1"] += [account(700, "ada"), account(701, "opaque", "o", "ALAN@example.com")]
    mapping = await world.map("s1")
    assert await jobs(world) == [job_key(UUID(world.tenant_id), "s1")]
    payload = {"tenant_id": world.tenant_id, "source_id": "s1"}
    assert await JOBS[SOURCE_JOB](world.api.runtime, payload, asyncio.Event()) is None
    found = await kept(world)
    assert len(found) == 602
    assert (found["ada"], found["opaque"], found["17"]) == (ada, alan, None)
    shown = await state(world, mapping)
    assert shown["failure"] is None
    assert shown["accounts_read_at"] is not None


async def test_what_a_source_lists_no_more_goes_after_a_whole_read_only(world: World) -> None:
    world.tenant.accounts["s1"] = [account(n, f"{n}") for n in range(3)]
    await world.map("s1")
    await world.read("s1")
    world.tenant.accounts["s1"] = [account(n, f"{n}") for n in range(1, 300)]
    stopping = asyncio.Event()
    stopping.set()
    await age(world, accounts_read_at=now() - timedelta(days=2))
    again = await run_source(world.api.runtime, UUID(world.tenant_id), "s1", stopping)
    assert again is not None
    assert "0" in await kept(world)
    await world.read("s1")
    assert set(await kept(world)) == {f"{n}" for n in range(1, 300)}


async def test_one_source_is_read_once_for_all_its_mappings(world: World) -> None:
    other = await world.books.application(world.instance, "Ledgerly Spain")
    world.tenant.accounts["s1"] = [account(1, "ada")]
    await world.map("s1")
    await world.map("s1", application_id=str(other))
    await world.read("s1")
    assert len([path for path in world.tenant.asked if path.startswith("/accounts")]) == 1
    rows = await world.books.database.pool.fetchval("SELECT count(*) FROM isc_accounts")
    assert rows == 2


async def test_within_a_mapping_an_account_is_matched_once_and_by_the_best_name(world: World) -> None:
    ada = await world.books.account(world.application, "Ada", username="ada", email="team@example.com")
    world.tenant.accounts["s1"] = [
        account(1, "77", "other", "team@example.com"),
        account(2, "ADA"),
        account(3, "78", "ada"),
    ]
    await world.map("s1")
    await world.read("s1")
    assert await kept(world) == {"77": None, "ADA": ada, "78": None}


async def test_a_failed_read_is_kept_told_and_tried_again_later(world: World) -> None:
    world.tenant.accounts["s1"] = [account(1, "ada")]
    mapping = await world.map("s1")
    world.tenant.fault = refusal(403, "403 Forbidden", "The server refuses to authorize it.")
    await world.read("s1")
    failure = (await state(world, mapping))["failure"]
    assert failure["code"] == "insufficient_permissions"
    assert "refuses to authorize" in failure["detail"]
    await forget_jobs(world)
    await adopt_sources(world.api.runtime)
    assert await jobs(world) == []
    await age(world, accounts_tried_at=now() - timedelta(hours=2))
    await adopt_sources(world.api.runtime)
    await adopt_sources(world.api.runtime)
    assert len(await jobs(world)) == 1
    world.tenant.fault = None
    await world.read("s1")
    assert (await state(world, mapping))["failure"] is None


async def test_a_vendor_that_is_down_costs_no_account_that_is_kept(world: World) -> None:
    world.tenant.accounts["s1"] = [account(1, "ada")]
    mapping = await world.map("s1")
    await world.read("s1")
    await age(world, accounts_read_at=now() - timedelta(days=2))
    world.tenant.fault = Response("<html>down</html>", 503)
    await world.read("s1")
    assert list(await kept(world)) == ["ada"]
    assert (await state(world, mapping))["failure"]["code"] == "vendor_unavailable"


async def test_a_day_later_it_is_read_again(world: World) -> None:
    await world.map("s1")
    await world.read("s1")
    await forget_jobs(world)
    assert adopt_sources in STEPS
    await adopt_sources(world.api.runtime)
    assert await jobs(world) == []
    old = now() - timedelta(hours=25)
    await age(world, accounts_read_at=old, accounts_tried_at=old)
    await adopt_sources(world.api.runtime)
    assert len(await jobs(world)) == 1


async def test_who_came_by_a_sync_is_matched_without_asking_isc(world: World) -> None:
    world.tenant.accounts["s1"] = [account(1, "ada")]
    await world.map("s1")
    await world.read("s1")
    await forget_jobs(world)
    asked = len(world.tenant.asked)
    ada = await world.books.account(world.application, "Ada", username="ada")
    sync = await world.books.sync(world.instance, finished_at=now() + timedelta(seconds=1))
    await world.books.database.pool.execute(
        "UPDATE instances SET last_sync_id = $2 WHERE id = $1", world.instance, sync
    )
    await adopt_sources(world.api.runtime)
    assert len(await jobs(world)) == 1
    await world.read("s1")
    assert await kept(world) == {"ada": ada}
    assert len(world.tenant.asked) == asked


async def test_a_mapping_that_moved_to_another_application_is_matched_anew(world: World) -> None:
    world.tenant.accounts["s1"] = [account(1, "ada")]
    await world.map("s1")
    await world.read("s1")
    await forget_jobs(world)
    other = await world.books.application(world.instance, "Ledgerly Spain")
    ada = await world.books.account(other, "Ada", username="ada")
    await age(world, application_id=other, accounts_matched_at=None)
    await adopt_sources(world.api.runtime)
    assert len(await jobs(world)) == 1
    await world.read("s1")
    assert await kept(world) == {"ada": ada}


async def test_two_processes_do_not_read_at_once(world: World) -> None:
    world.tenant.accounts["s1"] = [account(1, "ada")]
    world.tenant.gate = asyncio.Event()
    await world.map("s1")
    ids = (world.api.runtime, UUID(world.tenant_id), "s1")
    first = asyncio.create_task(run_source(*ids, asyncio.Event()))
    while not any(path.startswith("/accounts") for path in world.tenant.asked):  # noqa: ASYNC110  the fake tells nobody
        await asyncio.sleep(0.01)
    assert await run_source(*ids, asyncio.Event()) is not None
    world.tenant.gate.set()
    assert await first is None
    assert list(await kept(world)) == ["ada"]


async def test_a_mapping_that_is_gone_needs_nothing(world: World) -> None:
    assert await run_source(world.api.runtime, uuid4(), "s1", asyncio.Event()) is None
    mapping = await world.map("s1")
    await world.api.delete(f"{MAPPINGS}/{mapping['id']}")
    await world.read("s1")
    assert await kept(world) == {}
