"""Two replicas, all killed in the middle of a report's snapshot, and again when nothing but the commit is missing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.database import Database
from app.vault import generate_key
from tests.api.books import Books
from tests.messages.smtp import mail_sink
from tests.reports.answering import many_seats, of
from tests.survival.processes import ADMIN_KEY, Caller, Replica, environment, replicas

ROWS = 3000
_WAITING = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query ILIKE $1 AND datname = current_database()
    )
"""


@asynccontextmanager
async def standing_still(database: Database, table: str) -> AsyncIterator[None]:
    """Whoever needs the table waits, for the time of the block."""
    async with database.transaction() as connection:
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


async def _until_waiting(database: Database, statement: str) -> None:
    """Until a process waits for a lock within a statement like this."""
    async with asyncio.timeout(60):
        while True:
            if await database.pool.fetchval(_WAITING, statement):
                return
            await asyncio.sleep(0.05)


def _kill_and_start(running: list[Replica]) -> None:
    for victim in running:
        victim.kill()
    for victim in running:
        victim.start()


async def _settled(caller: Caller, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            run: dict[str, Any] = await caller.call("GET", f"/v1/report-runs/{run_id}")
            if run["status"] not in {"queued", "running"}:
                return run
            await asyncio.sleep(0.1)


@pytest.mark.timeout(300)
async def test_killed_replicas_answer_a_report_once(database: Database, database_url: str, tmp_path: Path) -> None:
    async with mail_sink() as sink:
        settings = environment(database_url, tmp_path, generate_key(), SEATWISE_LEASE_S="2", SEATWISE_SMTP_URL=sink.url)
        async with replicas(2, settings, tmp_path) as running, httpx.AsyncClient() as client:
            caller = Caller(running, client)
            report = await _report(caller, await many_seats(Books(database), ROWS))
            async with standing_still(database, "applications"):
                asked = await caller.call("POST", f"/v1/reports/{report}/runs", expect=202)
                await _until_waiting(database, "%INSERT INTO report_chunks%")
                _kill_and_start(running)
            async with standing_still(database, "report_emails"):
                await _until_waiting(database, "%INSERT INTO report_emails%")
                assert (await database.pool.fetchval("SELECT count(*) FROM report_chunks")) == 0
                _kill_and_start(running)
            run = await _settled(caller, asked["id"])
            assert (run["status"], run["total_rows"]) == ("succeeded", ROWS), run["failure"]
            assert await _counted(database, run["id"]) == {"chunks": 3, "emails": 1, "deliveries": 1, "events": 1}
            rows = await _download(client, running, run["id"])
            assert run["digest"] == f"sha256:{hashlib.sha256(rows).hexdigest()}"
            assert len(rows.splitlines()) == ROWS
            async with asyncio.timeout(20):
                await sink.arrived.wait()
            assert len(sink.received) == 1
            listening = {replica.url for replica in running}
            assert {row["url"] for row in await database.pool.fetch("SELECT url FROM listeners")} == listening


async def _report(caller: Caller, application: UUID) -> str:
    hook = {"name": "Hook", "url": "http://127.0.0.1:9/", "events": [], "auth": {"type": "none"}}
    webhook = await caller.call("POST", "/v1/webhooks", expect=201, json=hook)
    outputs = [{"type": "webhook", "webhook_id": webhook["id"]}, {"type": "email", "to": ["ada@example.com"]}]
    body = {
        "name": "Seats", "dataset": "accounts", "columns": ["name", "email"], "filters": of(application),
        "outputs": outputs,
    }  # fmt: skip
    made = await caller.call("POST", "/v1/reports", expect=201, json=body)
    return str(made["id"])


async def _counted(database: Database, run_id: str) -> dict[str, int]:
    row = await database.pool.fetchrow(
        """
        SELECT (SELECT count(*) FROM report_chunks WHERE run_id = $1) AS chunks,
            (SELECT count(*) FROM report_emails WHERE run_id = $1) AS emails,
            (SELECT count(*) FROM deliveries WHERE run_id = $1 AND page = 1) AS deliveries,
            (SELECT count(*) FROM events WHERE data ->> 'run_id' = $1::text) AS events
        """,
        UUID(run_id),
    )
    return dict(row or {})


async def _download(client: httpx.AsyncClient, running: list[Replica], run_id: str) -> bytes:
    answer = await client.get(
        f"{running[0].url}/v1/report-runs/{run_id}/rows?format=ndjson",
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
    )
    return answer.content
