"""`python -m benchmarks.syncing`: one reading of the vendor in a process of its own, with or without writing.

Takes an Order on stdin, gives a Reading on stdout.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import uvloop
from pydantic import SecretStr
from sqlalchemy import select

from app.connectors import registry
from app.connectors.contract import STREAMS, Connector, Page
from app.core.clock import now
from app.core.database import open_database
from app.core.ids import new_id
from app.core.logging import configure as configure_logging
from app.core.settings import Settings
from app.demo.vendors.okta import API_TOKEN
from app.instances import full_row
from app.models import Credential, Instance, Sync
from app.sync import run
from app.sync.connection import connect
from app.sync.extract import side_by_side
from app.sync.requests import request_sync
from app.sync.runtime import Runtime
from app.sync.secrets import sealing_context
from app.sync.settings import DEFAULTS
from app.sync.stream_applications import SIDE_BY_SIDE
from app.vault import Vault


class Order(msgspec.Struct):
    """write: a sync, else only a walk over the same lists."""

    write: bool
    database_url: str
    vendor_url: str
    keys: str


class Reading(msgspec.Struct):
    """records and seconds by stream; the whole time has what lies between and after the streams too.

    idle_rss, peak_rss   bytes of this process, before the reading and at most.
    wal                  bytes of write-ahead log written meanwhile.
    cpu_s                CPU seconds of this process, and of the database's where the one who asks adds them.
    """

    records: dict[str, int]
    seconds: dict[str, float]
    total_s: float
    idle_rss: int
    peak_rss: int
    wal: int
    cpu_s: float
    database_cpu_s: float = 0.0


async def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    settings = Settings(
        _env_file=None,
        database_url=SecretStr(order.database_url),
        outbound_allow=(ip_network("127.0.0.0/8"),),
        log_level="error",
        rate_headroom_percent=0,
    )
    configure_logging(settings)
    database = await open_database(order.database_url, size=settings.database_pool_size)
    runtime = Runtime(settings, database, Vault.from_keys(order.keys))
    instance_id = await _instance(runtime, order.vendor_url)
    idle = _status("VmRSS")
    before = await database.pool.fetchval("SELECT pg_current_wal_insert_lsn()::text")
    began, used = time.perf_counter(), time.process_time()
    records, seconds = await (_sync if order.write else _walk)(runtime, instance_id)
    total, cpu = time.perf_counter() - began, time.process_time() - used
    wal = await database.pool.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)", before)
    await database.close()
    reading = Reading(records, seconds, total, idle, _status("VmHWM"), int(wal), cpu)
    sys.stdout.buffer.write(msgspec.json.encode(reading) + b"\n")


async def _instance(runtime: Runtime, vendor_url: str) -> UUID:
    """The one instance of the database, made where it is missing."""
    async with runtime.database.session() as session:
        known: UUID | None = await session.scalar(select(Instance.id))
        if known is not None:
            return known
        credential_id, instance_id = new_id(), new_id()
        secrets = msgspec.json.encode({"api_token": API_TOKEN})
        session.add(
            Credential(
                id=credential_id,
                name="Okta",
                connector="okta",
                scheme="api_token",
                storage="vault",
                sealed=runtime.vault.seal(secrets, context=sealing_context(credential_id)),
                secrets_set=["api_token"],
                options={"sso_url": "https://demo.okta.com", "api_url": vendor_url, "auth_url": vendor_url},
                created_by={},
            )
        )
        await session.flush()
        rows = registry.manifest("okta").default_mapping
        session.add(
            Instance(
                id=instance_id,
                name="Okta",
                connector="okta",
                credential_id=credential_id,
                sync=dict(DEFAULTS),
                mapping=[full_row({"source": row.source, "target": row.target}) for row in rows],
                contacts=[],
                owner="owner@example.com",
                status="live",
                created_by={},
            )
        )
        return instance_id


async def _walk(runtime: Runtime, instance_id: UUID) -> tuple[dict[str, int], dict[str, float]]:
    """The connector asked as a sync asks it, its pages counted and dropped."""
    records: dict[str, int] = {}
    seconds: dict[str, float] = {}
    async with runtime.database.session() as session:
        instance = await session.get_one(Instance, instance_id)
        credential = await session.get_one(Credential, instance.credential_id)
    async with connect(runtime, credential, instance.options) as link:
        for stream in STREAMS:
            began = time.perf_counter()
            records[stream] = await _WALKS[stream](link.connector)
            seconds[stream] = time.perf_counter() - began
    return records, seconds


async def _count(pages: AsyncIterator[Page[Any]]) -> int:
    return sum([len(page.records) + len(page.rejected) + page.ignored async for page in pages])


async def _walk_assignments(connector: Connector) -> int:
    scopes = [entry.vendor_id async for page in connector.applications() for entry in page.records]
    listing = side_by_side(scopes, connector.assignments, width=SIDE_BY_SIDE, depth=SIDE_BY_SIDE)
    async with aclosing(listing) as pages:
        return sum([len(page.records) async for _, page in pages])


_WALKS: dict[str, Callable[[Connector], Awaitable[int]]] = {
    "users": lambda connector: _count(connector.users()),
    "applications": lambda connector: _count(connector.applications()),
    "assignments": _walk_assignments,
    "activity": lambda connector: _count(connector.activity(now() - timedelta(days=90), now())),
}


async def _sync(runtime: Runtime, instance_id: UUID) -> tuple[dict[str, int], dict[str, float]]:
    """One sync from its claim to its end. Raises RuntimeError where it does not succeed."""
    seconds: dict[str, float] = {}
    for stream in STREAMS:
        name = f"read_{stream}"
        setattr(run, name, _timed(getattr(run, name), stream, seconds))
    async with runtime.database.session() as session:
        sync_id = (await request_sync(session, await session.get_one(Instance, instance_id), trigger="manual")).id
    await run.run_sync(runtime, sync_id, asyncio.Event())
    async with runtime.database.session() as session:
        sync = await session.get_one(Sync, sync_id)
    if sync.status != "succeeded":
        raise RuntimeError(f"the sync was {sync.status}: {sync.failure}")
    return {stream: sync.progress[stream]["fetched"] for stream in STREAMS}, seconds


def _timed(read: Callable[..., Awaitable[Any]], stream: str, seconds: dict[str, float]) -> Callable[..., Any]:
    async def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await read(*arguments)
        finally:
            seconds[stream] = time.perf_counter() - began

    return timed


def _status(name: str) -> int:
    """A size of this process in bytes, as Linux tells it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status does not tell {name}")


if __name__ == "__main__":
    uvloop.run(main())
