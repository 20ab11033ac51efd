"""Messages delivered each second, beside a bare loop of httpx that posts bodies of that size to the same receiver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx
import msgspec
from pydantic import SecretStr

from app.access.principal import SYSTEM
from app.core.database import open_database
from app.core.settings import Settings
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from app.webhooks.endpoints import create
from benchmarks.posting import Done
from benchmarks.posting import Order as Posts
from benchmarks.processes import HOST, ask, free_port, serving
from benchmarks.server import Server
from benchmarks.sink import Arrivals
from benchmarks.tables import Table, middle, percent

AT_ONCE = 64
BODY_BYTES = 850
PATIENCE_S = 300.0

# Told in one transaction, as a sync tells: then they get their places, and are delivered, while the clock runs.
_TELL = """
    INSERT INTO events (type, data)
    SELECT 'sync.succeeded', jsonb_build_object('reason', repeat('x', $2), 'number', n) FROM generate_series(1, $1) n
"""


class Size(msgspec.Struct, frozen=True):
    messages: int
    rounds: int


FULL = Size(messages=6000, rounds=3)
QUICK = Size(messages=50, rounds=1)


async def measure(server: Server, size: Size) -> AsyncIterator[Table]:
    rows = []
    for delay_ms in (0, 50):
        async with server.database(f"deliveries_{delay_ms}") as url:
            rows.append(await _row(server, url, delay_ms, size))
    header = (f"{size.messages:,} messages, {AT_ONCE} at once", "bare loop /s", "delivered /s", "share")
    yield Table("Deliveries, one process", header, rows)


async def _row(server: Server, url: str, delay_ms: int, size: Size) -> list[str]:
    sink, port, key = free_port(), free_port(), generate_key()
    log = server.folder / "deliveries.log"
    await _webhook(url, key, f"http://{HOST}:{sink}/hook")
    settings = {
        "SEATWISE_DATABASE_URL": url,
        "SEATWISE_ENCRYPTION_KEYS": key,
        "SEATWISE_OUTBOUND_ALLOW": "127.0.0.0/8",
        "SEATWISE_LOG_LEVEL": "warning",
    }
    bare, ours = [], []
    async with (
        serving("benchmarks.sink", str(sink), str(delay_ms / 1000), port=sink, log=log),
        serving("app.cli", "serve", "--port", str(port), port=port, log=log, **settings),
    ):
        for _ in range(size.rounds):
            bare.append(await _bare(sink, size.messages))
            ours.append(await _delivered(url, sink, size.messages))
    return [f"receiver answers after {delay_ms} ms", middle(bare), middle(ours), percent(ours, bare)]


async def _webhook(url: str, key: str, target: str) -> None:
    database = await open_database(url, size=2)
    settings = Settings(_env_file=None, database_url=SecretStr(url), outbound_allow=(ip_network("127.0.0.0/8"),))
    runtime = Runtime(settings, database, Vault.from_keys(key))
    try:
        async with database.session() as session:
            await create(
                session,
                runtime,
                by=SYSTEM,
                auth={"type": "none"},
                name="Benchmark",
                url=target,
                events=["sync.succeeded"],
                format="standard",
                max_message_bytes=262_144,
                delivery="pages",
                link_ttl_seconds=86_400,
                max_concurrency=AT_ONCE,
            )
    finally:
        await database.close()


async def _bare(sink: int, messages: int) -> float:
    order = Posts(f"http://{HOST}:{sink}/hook", messages, AT_ONCE, "x" * BODY_BYTES)
    await ask("benchmarks.posting", order, Done)
    return await _rate(sink, messages)


async def _delivered(url: str, sink: int, messages: int) -> float:
    database = await open_database(url, size=1)
    try:
        await database.pool.execute(_TELL, messages, BODY_BYTES - 100)
        ends = time.monotonic() + PATIENCE_S
        while await database.pool.fetchval(
            "SELECT EXISTS (SELECT FROM events WHERE position IS NULL)"
            " OR EXISTS (SELECT FROM deliveries WHERE status = 'pending')"
        ):
            assert time.monotonic() < ends, "the messages do not arrive"
            await asyncio.sleep(0.25)
    finally:
        await database.close()
    return await _rate(sink, messages)


async def _rate(sink: int, messages: int) -> float:
    """Distinct messages each second, as the receiver saw them."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{HOST}:{sink}/")
    arrivals = msgspec.json.decode(answer.content, type=Arrivals)
    assert arrivals.distinct == messages, f"{arrivals.distinct} of {messages} messages arrived"
    return arrivals.distinct / arrivals.seconds
