"""How much of a `select 1` server's speed lists have, and what a page costs far down."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import msgspec
import psutil

from app.api.lists import encode_cursor
from app.sync.tally import empty_counters, empty_progress
from app.vault import generate_key
from benchmarks.books import NEWER, OLDER, Books
from benchmarks.load import Load, Order
from benchmarks.processes import HOST, ask, free_port, process_on, serving
from benchmarks.select_one import URL_VARIABLE
from benchmarks.server import Server
from benchmarks.tables import Table, middle, percent, times

PATH = "/v1/accounts"
CONCURRENCY = 16


class Size(msgspec.Struct, frozen=True):
    """depth: how many accounts lie before the deep page."""

    depth: int
    rounds: int
    seconds: float


FULL = Size(depth=500_000, rounds=3, seconds=3.0)
QUICK = Size(depth=500, rounds=1, seconds=0.5)

Target = tuple[int, str]
"""A port and a path."""

LIMIT, SESSION = "asyncpg `select 1`", "SQLAlchemy session, `select 1`"


async def measure(server: Server, url: str, books: Books, size: Size) -> AsyncIterator[Table]:
    """Raises ProcessFailed where an answer is not 200."""
    service, limit = free_port(), free_port()
    key = f"sw_{secrets.token_urlsafe(32)}"
    settings = {
        "SEATWISE_DATABASE_URL": url,
        "SEATWISE_ENCRYPTION_KEYS": generate_key(),
        "SEATWISE_ADMIN_KEY": key,
        "SEATWISE_LOG_FORMAT": "json",
    }
    log = server.folder / "list.log"
    async with (
        serving("app.cli", "serve", "--port", str(service), port=service, log=log, **settings),
        serving("benchmarks.select_one", str(limit), port=limit, log=log, **{URL_VARIABLE: url}),
    ):
        await _write_syncs(url, books)
        yield await _rates(_targets(service, limit, books, await _application(url, books)), key, books, size)
        yield await _depth(service, key, url, books, size)


def _query(**filters: object) -> str:
    return f"{PATH}?{urlencode({**filters, 'limit': 50})}"


def _targets(service: int, limit: int, books: Books, application_id: UUID) -> dict[str, Target]:
    return {
        LIMIT: (limit, "/asyncpg"),
        SESSION: (limit, "/sqlalchemy"),
        "accounts of an application": (service, _query(application_id=application_id, status="active")),
        "accounts of the newer instance": (service, _query(instance_id=books.instances[NEWER], status="active")),
        "accounts of the older instance": (service, _query(instance_id=books.instances[OLDER], status="active")),
        "health, no database": (service, "/healthz"),
        "people": (service, "/v1/people?limit=50"),
        "syncs": (service, "/v1/syncs?limit=50"),
        "applications by name": (service, "/v1/applications?limit=50&sort=name"),
        "catalogue": (service, "/v1/catalog?limit=50"),
    }


async def _write_syncs(url: str, books: Books) -> None:
    """Some that succeeded, with all their figures."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """
            INSERT INTO syncs (instance_id, status, trigger, started_at, finished_at, progress, counters)
            SELECT $1, 'succeeded', 'schedule', now(), now(), $2, $3 FROM generate_series(1, 200)
            """,
            books.instances[OLDER],
            msgspec.json.encode(empty_progress()).decode(),
            msgspec.json.encode(empty_counters()).decode(),
        )
    finally:
        await connection.close()


async def _application(url: str, books: Books) -> UUID:
    connection = await asyncpg.connect(url)
    try:
        found: UUID = await connection.fetchval(
            "SELECT id FROM applications WHERE instance_id = $1 LIMIT 1", books.instances[OLDER]
        )
        return found
    finally:
        await connection.close()


async def _rates(targets: dict[str, Target], key: str, books: Books, size: Size) -> Table:
    loads: dict[str, list[Load]] = {name: [] for name in targets}
    cpu_ms: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(size.rounds):
        for name, (port, path) in targets.items():
            process, before = process_on(port), _cpu_s(process_on(port))
            load = await _load(port, [path], key, CONCURRENCY, size.seconds)
            loads[name].append(load)
            cpu_ms[name].append((_cpu_s(process) - before) * 1000 / (load.per_s * size.seconds))
    per_s = {name: [load.per_s for load in each] for name, each in loads.items()}
    rows = [
        [
            name,
            middle(per_s[name]),
            middle((load.p50_ms for load in each), 1),
            middle((load.p99_ms for load in each), 1),
            percent(per_s[name], per_s[LIMIT]),
            percent(per_s[name], per_s[SESSION]),
            middle(cpu_ms[name], 2),
            percent(cpu_ms[LIMIT], cpu_ms[name]),
            percent(cpu_ms[SESSION], cpu_ms[name]),
        ]
        for name, each in loads.items()
    ]
    header = (
        f"50 of {books.accounts:,} accounts", "requests/s", "p50 ms", "p99 ms", "of asyncpg", "of SQLAlchemy",
        "CPU ms of the server", "asyncpg's / its", "SQLAlchemy's / its",
    )  # fmt: skip
    return Table(f"Lists, {CONCURRENCY} callers, one server process", header, rows)


def _cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


async def _load(port: int, paths: list[str], key: str, concurrency: int, seconds: float) -> Load:
    return await ask("benchmarks.load", Order(HOST, port, paths, f"Bearer {key}", concurrency, seconds), Load)


async def _depth(service: int, key: str, url: str, books: Books, size: Size) -> Table:
    """Page 1 and the deep page asked in turn by one caller."""
    filters = {"instance_id": str(books.instances[OLDER]), "status": "active"}
    top, deep = [], []
    for sort in ("-created_at", "name"):
        query = {**filters, "sort": sort, "limit": "50"}
        cursor = await _cursor_at(url, filters, sort, size.depth)
        paths = [f"{PATH}?{urlencode(query)}", f"{PATH}?{urlencode({**query, 'cursor': cursor})}"]
        loads = [await _load(service, paths, key, 1, size.seconds) for _ in range(size.rounds)]
        top.append([load.p50_ms_by_path[0] for load in loads])
        deep.append([load.p50_ms_by_path[1] for load in loads])
    rows = [
        [sort, middle(first, 2), middle(last, 2), times(last, first)]
        for sort, first, last in zip(("by creation", "by name"), top, deep, strict=True)
    ]
    return Table(
        f"Page 1 and a page {size.depth:,} accounts down, one caller",
        ("accounts of the older instance", "page 1 ms", "deep page ms", "deep / page 1"),
        rows,
    )


async def _cursor_at(url: str, filters: dict[str, str], sort: str, depth: int) -> str:
    """The cursor of the page that ends at that depth."""
    key, order = ("NULL", "id DESC") if sort == "-created_at" else ("lower(name)", 'lower(name) COLLATE "C", id')
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            f"SELECT {key}, id::text FROM accounts WHERE instance_id = $1 AND status = $2 ORDER BY {order}"
            " OFFSET $3 LIMIT 1",
            UUID(filters["instance_id"]),
            filters["status"],
            depth,
        )
    finally:
        await connection.close()
    assert row is not None
    return encode_cursor(f"{PATH}?{urlencode([*sorted(filters.items()), ('sort', sort)])}", list(row.values()))
