"""A replica killed in the middle of an erasure; the next one finishes it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.database import Database
from app.vault import generate_key
from tests.api.books import Books
from tests.survival.processes import Caller, environment, replicas

_WAITING = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query ILIKE $1 AND datname = current_database()
    )
"""


async def _until_waiting(database: Database, statement: str) -> None:
    """Until a process waits for a lock within a statement like this."""
    async with asyncio.timeout(30):
        while True:
            if await database.pool.fetchval(_WAITING, statement):
                return
            await asyncio.sleep(0.05)


async def _until(caller: Caller, path: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            found: dict[str, Any] = await caller.call("GET", path)
            if found["status"] == status:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_a_killed_erasure_is_finished(database: Database, database_url: str, tmp_path: Path) -> None:
    books = Books(database)
    application = await books.application(await books.instance("Okta"), "Wiki")
    person = await books.person("Ada Lovelace", email="ada@example.com")
    await books.account(application, "Ada Lovelace", person_id=person, email="ada@example.com")
    await books.account(application, "Grace Hopper", email="grace@example.com")
    settings = environment(database_url, tmp_path, generate_key(), SEATWISE_LEASE_S="2")
    async with replicas(1, settings, tmp_path) as running, httpx.AsyncClient() as client:
        caller = Caller(running, client)
        body = {"name": "Seats", "dataset": "accounts", "columns": ["name", "email", "usage"], "sort": ["name"]}
        report = await caller.call("POST", "/v1/reports", expect=201, json=body)
        asked = await caller.call("POST", f"/v1/reports/{report['id']}/runs", expect=202)
        await _until(caller, f"/v1/report-runs/{asked['id']}", "succeeded")

        async with database.transaction() as connection:
            await connection.execute("LOCK TABLE report_chunks IN ACCESS EXCLUSIVE MODE")
            await caller.call("DELETE", f"/v1/people/{person}/data", expect=202)
            await _until_waiting(database, "%FROM report_chunks%subjects @>%")
            running[0].kill()
        assert await database.pool.fetchval("SELECT ndjson ~ 'Lovelace' FROM report_chunks")
        running[0].start()

        await _until(caller, f"/v1/people/{person}/erasure", "erased")
        run = await caller.call("GET", f"/v1/report-runs/{asked['id']}")
        rows = await database.pool.fetchval("SELECT ndjson FROM report_chunks")
    assert [line.split(",")[:2] for line in rows.splitlines()] == [
        ['{"name":"Erased person"', '"email":null'], ['{"name":"Grace Hopper"', '"email":"grace@example.com"'],
    ]  # fmt: skip
    assert run["digest"] == f"sha256:{hashlib.sha256(rows.encode()).hexdigest()}"
    assert run["erased_at"] is not None
    assert await database.pool.fetchval("SELECT count(*) FROM accounts WHERE name ~ 'Ada' OR email ~ 'ada'") == 0
