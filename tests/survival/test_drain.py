"""SIGTERM while everything that a replica waits for hangs: it ends in time, and another goes on where it stopped."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.core.database import Database
from app.core.queue import enqueue_on
from app.core.settings import Settings
from app.events.publish import publish
from app.scheduler import worker
from app.scheduler.jobs import JOBS
from app.scheduler.worker import working
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from tests.api.books import Books
from tests.reports.answering import many_seats, of
from tests.survival.processes import ADMIN_KEY, Caller, Replica, environment, running
from tests.survival.test_replicas import _launch, _vendor
from tests.webhooks.receiver import HANG, Receiver, Reply, eventually, receiving

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
HANGS_S = 60.0
# More than the sockets between the replica and a caller who does not read take in.
FILE_BYTES = 60_000_000


@pytest.mark.timeout(300)
async def test_a_replica_ends_in_time_whatever_hangs_and_another_goes_on(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    settings = environment(database_url, tmp_path, generate_key())
    first, second = Replica(settings, tmp_path), Replica(settings, tmp_path)
    with _vendor(60) as vendor:
        async with AsyncExitStack() as stack:
            receiver = await stack.enter_async_context(receiving())
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
            await stack.enter_async_context(running([first]))
            caller = Caller([first], client)
            syncing, planning = await _launch(caller, vendor, ["Syncs", "Plans"])
            run = await _large_run(caller, database)
            vendor.faults.latency_s = HANGS_S
            sync = await caller.call("POST", f"/v1/instances/{syncing}/syncs", expect=202)
            plan = await caller.call("POST", f"/v1/instances/{planning}/plans", expect=202)
            receiver.behave = lambda _message: HANG
            await _tell(caller, database, receiver)
            await eventually(receiver.asked, 30)
            await eventually(partial(_both_run, caller, sync["id"], plan["id"]), 30)
            followed = await stack.enter_async_context(
                client.stream("GET", f"{first.url}/v1/syncs/{sync['id']}/events", headers=HEADERS)
            )
            file = await stack.enter_async_context(
                client.stream("GET", f"{first.url}/v1/report-runs/{run}/rows?format=ndjson", headers=HEADERS)
            )
            assert [followed.status_code, file.status_code] == [200, 200]

            assert await asyncio.to_thread(first.stop) == 0

            with pytest.raises(httpx.RemoteProtocolError):  # a part of a file must not look like the whole
                await file.aread()
            vendor.faults.latency_s = 0.0
            receiver.behave = lambda _message: Reply()
            await stack.enter_async_context(running([second]))
            caller = Caller([second], client)
            assert (await caller.settled(sync["id"]))["status"] == "succeeded"
            await eventually(partial(_is_ready, caller, plan["id"]), 60)
            await receiver.until(1, 60)
            await eventually(partial(_is_quiet, database), 30)
    assert len({message.id for message in receiver.messages}) == 1
    assert len(receiver.accepted) == 1
    assert await database.pool.fetchval("SELECT count(*) FROM syncs WHERE instance_id = $1", syncing) == 2
    assert await database.pool.fetchval("SELECT count(*) FROM plans") == 1


async def _large_run(caller: Caller, database: Database) -> str:
    """The id of a run whose file is too large to be sent in one go."""
    application = await many_seats(Books(database), 1000)
    body = {"name": "Seats", "dataset": "accounts", "columns": ["name", "email"], "filters": of(application)}
    report = await caller.call("POST", "/v1/reports", expect=201, json=body)
    asked = await caller.call("POST", f"/v1/reports/{report['id']}/runs", expect=202)

    async def has_run() -> bool:
        return bool((await caller.call("GET", f"/v1/report-runs/{asked['id']}"))["status"] == "succeeded")

    await eventually(has_run, 60)
    await database.pool.execute(
        "UPDATE report_chunks SET ndjson = repeat(ndjson, $1::int / octet_length(ndjson))", FILE_BYTES
    )
    return str(asked["id"])


async def _tell(caller: Caller, database: Database, receiver: Receiver) -> None:
    hook = {
        "name": "Hook",
        "url": f"{receiver.url}/hook",
        "events": ["sync.failed"],
        "auth": {"type": "none"},
    }
    made = await caller.call("POST", "/v1/webhooks", expect=201, json=hook)
    receiver.secrets["/hook"] = made["signing_secret"]
    async with database.transaction() as connection:
        await publish(connection, "sync.failed", {"reason": "told"})


async def _both_run(caller: Caller, sync_id: str, plan_id: str) -> bool:
    sync = await caller.call("GET", f"/v1/syncs/{sync_id}")
    plan = await caller.call("GET", f"/v1/plans/{plan_id}")
    return (sync["status"], plan["status"]) == ("running", "planning")


async def _is_ready(caller: Caller, plan_id: str) -> bool:
    plan: dict[str, Any] = await caller.call("GET", f"/v1/plans/{plan_id}")
    assert plan["status"] in {"planning", "ready"}, plan
    return bool(plan["status"] == "ready")


async def _is_quiet(database: Database) -> bool:
    left: bool = await database.pool.fetchval("SELECT EXISTS (SELECT FROM deliveries WHERE status = 'pending')")
    return not left


@pytest.mark.timeout(120)
async def test_a_job_that_does_not_look_up_is_broken_off_and_handed_on(
    monkeypatch: pytest.MonkeyPatch, database: Database, database_url: str, tmp_path: Path
) -> None:
    hung, done = asyncio.Event(), asyncio.Event()

    async def handle(_runtime: Runtime, _payload: object, _stopping: asyncio.Event) -> None:
        if hung.is_set():
            done.set()
        else:
            hung.set()
            await asyncio.Event().wait()

    monkeypatch.setitem(JOBS, "hanging", handle)
    monkeypatch.setattr(worker, "GRACE_S", 0.2)
    settings = Settings(_env_file=None, database_url=SecretStr(database_url), data_dir=tmp_path)
    runtime = Runtime(settings, database, Vault.from_keys(generate_key()))
    async with asyncio.timeout(60):
        async with working(runtime):
            async with database.transaction() as connection:
                await enqueue_on(connection, "hanging", {})
            await hung.wait()
        async with working(runtime):
            await done.wait()
