"""A report over all accounts: how long its run takes, and how fast it is handed out beside PostgreSQL's own COPY."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from statistics import median

import asyncpg
import httpx
import msgspec
import psutil

from app.core.clock import now
from app.reports.query import build
from app.vault import generate_key
from benchmarks.load import Load, Order
from benchmarks.processes import HOST, ask, free_port, process_on, serving
from benchmarks.server import Server
from benchmarks.tables import Table, megabytes, middle, percent

COLUMNS = ["name", "email", "application", "instance", "status", "days_active", "last_active_at"]
DEFINITION = {"dataset": "accounts", "columns": COLUMNS, "window": "30d", "filters": [], "sort": ["name"]}
OTHERS = "/v1/applications?limit=10"
PATIENCE_S = 600.0
WATCH_S = 0.02


class Size(msgspec.Struct, frozen=True):
    rounds: int
    seconds: float


FULL = Size(rounds=3, seconds=4.0)
QUICK = Size(rounds=1, seconds=0.5)


async def measure(server: Server, url: str, size: Size) -> AsyncIterator[Table]:
    port, key = free_port(), f"sw_{secrets.token_urlsafe(32)}"
    settings = {
        "SEATWISE_DATABASE_URL": url,
        "SEATWISE_ENCRYPTION_KEYS": generate_key(),
        "SEATWISE_ADMIN_KEY": key,
        "SEATWISE_LOG_LEVEL": "warning",
    }
    log = server.folder / "report.log"
    async with (
        serving("app.cli", "serve", "--port", str(port), port=port, log=log, **settings),
        httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=PATIENCE_S,
        ) as client,
    ):
        run, took = await _run(client)
        yield Table(
            f"A report of {run['total_rows']:,} accounts",
            ("", "s"),
            [
                ["asked for, until its rows are kept", f"{took:.1f}"],
                ["the statement alone", f"{await _asked(url):.1f}"],
            ],
        )
        service = process_on(port)
        yield await _exports(client, url, str(run["id"]), service, size)
        yield await _others(client, port, key, str(run["id"]), size)


async def _run(client: httpx.AsyncClient) -> tuple[dict[str, object], float]:
    made = await client.post("/v1/reports", json={"name": "All accounts", **DEFINITION})
    assert made.status_code == 201, made.text
    began = time.perf_counter()
    run = (await client.post(f"/v1/reports/{made.json()['id']}/runs")).json()
    while run["status"] in ("queued", "running"):
        assert time.perf_counter() - began < PATIENCE_S, "the run does not end"
        await asyncio.sleep(0.25)
        run = (await client.get(f"/v1/report-runs/{run['id']}")).json()
    assert run["status"] == "succeeded", run
    return run, time.perf_counter() - began


async def _asked(url: str) -> float:
    """Seconds of the report's statement, its rows thrown away by the server."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET work_mem = '64MB'")
        question = await build(connection, DEFINITION, now())
        began = time.perf_counter()
        await connection.fetchval(f"SELECT count(*), max(c0) FROM ({question.sql} OFFSET 0) r", *question.values)
        return time.perf_counter() - began
    finally:
        await connection.close()


async def _exports(client: httpx.AsyncClient, url: str, run_id: str, service: psutil.Process, size: Size) -> Table:
    """The same columns and rows: out of a plain table by COPY, and as the run's files."""
    connection = await asyncpg.connect(url)
    try:
        question = await build(connection, DEFINITION, now())
        await connection.execute(
            "CREATE UNLOGGED TABLE flat (c0 text, c1 text, c2 text, c3 text, c4 text, c5 bigint, c6 bigint,"
            " c7 timestamptz, subject uuid)"
        )
        await connection.execute(f"INSERT INTO flat {question.sql}", *question.values)
        await connection.execute("VACUUM ANALYZE flat")
        copied: list[float] = []
        files: dict[str, list[float]] = {"csv": [], "ndjson": [], "json": [], "xlsx": []}
        bytes_of = dict.fromkeys(files, 0)
        peaks = dict.fromkeys(files, 0)
        idle = service.memory_info().rss
        for _ in range(size.rounds):
            copied.append(await _copied(connection))
            for form, took in files.items():
                seconds, bytes_of[form], peak = await _downloaded(client, run_id, form, service)
                took.append(seconds)
                peaks[form] = max(peaks[form], peak)
        await connection.execute("DROP TABLE flat")
    finally:
        await connection.close()
    rows = [["PostgreSQL's COPY, as CSV", f"{median(copied):.2f}", "", "100 %", ""]]
    rows += [
        [form, f"{median(took):.2f}", megabytes(bytes_of[form]), percent(copied, took), megabytes(peaks[form] - idle)]
        for form, took in files.items()
    ]
    return Table("Handed out", ("", "s", "MB", "COPY / this", "service above idle, MB"), rows)


async def _copied(connection: asyncpg.Connection[asyncpg.Record]) -> float:
    async def drop(_data: bytes) -> None:
        return

    began = time.perf_counter()
    columns = ", ".join(f"c{n}" for n in range(8))
    await connection.copy_from_query(f"SELECT {columns} FROM flat", output=drop, format="csv")
    return time.perf_counter() - began


async def _downloaded(
    client: httpx.AsyncClient, run_id: str, form: str, service: psutil.Process
) -> tuple[float, int, int]:
    """Seconds, bytes, and the most memory of the service meanwhile."""
    peak, done = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, service.memory_info().rss)
            await asyncio.sleep(WATCH_S)

    watching = asyncio.create_task(watch())
    began, size = time.perf_counter(), 0
    async with client.stream("GET", f"/v1/report-runs/{run_id}/rows", params={"format": form}) as answer:
        assert answer.status_code == 200
        async for chunk in answer.aiter_raw():
            size += len(chunk)
    took = time.perf_counter() - began
    done.set()
    await watching
    return took, size, peak


async def _others(client: httpx.AsyncClient, port: int, key: str, run_id: str, size: Size) -> Table:
    """Another request's time, alone and while two exports are read."""

    async def ask_others() -> Load:
        return await ask("benchmarks.load", Order(HOST, port, [OTHERS], f"Bearer {key}", 1, size.seconds), Load)

    async def keep_exporting() -> None:
        while True:
            async with client.stream("GET", f"/v1/report-runs/{run_id}/rows", params={"format": "csv"}) as answer:
                async for _ in answer.aiter_raw():
                    pass

    idle, busy = [], []
    for _ in range(size.rounds):
        idle.append(await ask_others())
        exports = [asyncio.create_task(keep_exporting()) for _ in range(2)]
        busy.append(await ask_others())
        for each in exports:
            each.cancel()
        await asyncio.gather(*exports, return_exceptions=True)
    rows = [
        [name, middle((load.p50_ms for load in loads), 1), middle((load.p99_ms for load in loads), 1)]
        for name, loads in (("alone", idle), ("while two CSV exports are read", busy))
    ]
    return Table(f"GET {OTHERS}, one caller", ("", "p50 ms", "p99 ms"), rows)
