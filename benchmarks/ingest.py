"""How much of the fetching speed is left when everything that is fetched is written too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from statistics import median

import httpx
import msgspec
import psutil

from app.connectors.contract import STREAMS
from app.vault import generate_key
from benchmarks.processes import HOST, ask, free_port, serving
from benchmarks.server import Server
from benchmarks.syncing import Order, Reading
from benchmarks.tables import Table, megabytes, middle, percent
from benchmarks.vendor import LATENCY_PATH

ROUNDS = 3
APPLICATIONS = 40
LATENCIES_S = (0.0, 0.03)
# In which the database sees a connection end, and counts what its process has used.
ENDING_S = 0.3


class Size(msgspec.Struct, frozen=True):
    """people and share of the seats used on a day of the world to time; numbers of people to weigh."""

    people: int
    activity: float
    days: int
    weighed: tuple[int, ...]
    rounds: int = ROUNDS


FULL = Size(people=10_000, activity=0.05, days=30, weighed=(10_000, 100_000))
QUICK = Size(people=500, activity=0.1, days=7, weighed=(500,), rounds=1)

_numbers = count()


class Round(msgspec.Struct):
    """walk: fetched only; first: a sync into empty books; again: the next one, which finds nothing new."""

    walk: Reading
    first: Reading
    again: Reading


async def measure(server: Server, size: Size) -> AsyncIterator[Table]:
    async with _vendor(server, size.people, size.activity, size.days) as url:
        await _round(server, url)
        for latency in LATENCIES_S:
            await _set_latency(url, latency)
            rounds = [await _round(server, url) for _ in range(size.rounds)]
            yield _table(rounds, latency)
    yield await _memory(server, size)


@asynccontextmanager
async def _vendor(server: Server, people: int, activity: float, days: int) -> AsyncIterator[str]:
    port = free_port()
    world = ("--people", people, "--applications", APPLICATIONS, "--activity", activity, "--days", days)
    log = server.folder / "vendor.log"
    async with serving("benchmarks.vendor", "--port", str(port), *map(str, world), port=port, log=log):
        yield f"http://{HOST}:{port}"


async def _set_latency(url: str, latency_s: float) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.get(f"{url}{LATENCY_PATH}{latency_s}")).raise_for_status()


async def _round(server: Server, url: str) -> Round:
    keys = generate_key()
    async with server.database(f"ingest_{next(_numbers)}") as database:
        walk, sync = (Order(write, database, url, keys) for write in (False, True))
        readings = [await _reading(server, order) for order in (walk, sync, sync)]
    return Round(*readings)


async def _reading(server: Server, order: Order) -> Reading:
    used = _cpu_s(server)
    reading = await ask("benchmarks.syncing", order, Reading)
    await asyncio.sleep(ENDING_S)
    return msgspec.structs.replace(reading, database_cpu_s=_cpu_s(server) - used)


def _cpu_s(server: Server) -> float:
    """CPU seconds of all processes of the database so far, those that have ended included."""
    pid_file = next(server.folder.rglob("postmaster.pid"))
    postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
    used = postmaster.cpu_times()
    seconds = used.children_user + used.children_system
    for child in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            own = child.cpu_times()
            seconds += own.user + own.system
    return float(seconds)


def _table(rounds: list[Round], latency_s: float) -> Table:
    rows = []
    for stream in (*STREAMS, "all"):
        walk, first = ([_rate(getattr(each, name), stream) for each in rounds] for name in ("walk", "first"))
        # A sync of nothing new has no events to read, so its rate of them would mean nothing.
        again = ["" if stream == "activity" else middle(_rate(each.again, stream) for each in rounds)]
        records = f"{_records(rounds[0].first, stream):,}"
        rows.append([stream, records, middle(walk), middle(first), percent(first, walk), *again])
    wal = {name: median(getattr(each, name).wal for each in rounds) for name in ("first", "again")}
    return Table(
        f"Ingest at {latency_s * 1000:.0f} ms of vendor latency",
        ("stream", "records", "fetched only /s", "synced /s", "of fetched only", "synced again /s"),
        rows,
        (
            f"Write-ahead log: {megabytes(wal['first'])} MB at first, {megabytes(wal['again'])} MB with nothing new.",
            f"CPU seconds for 100,000 records, of the process and of the database: {_costs(rounds)}.",
        ),
    )


def _costs(rounds: list[Round]) -> str:
    told = []
    for name, words in (("walk", "fetched only"), ("first", "synced"), ("again", "synced again")):
        readings: list[Reading] = [getattr(each, name) for each in rounds]
        process, database = (
            median(getattr(reading, spent) * 100_000 / _records(reading, "all") for reading in readings)
            for spent in ("cpu_s", "database_cpu_s")
        )
        told.append(f"{words} {process:.1f} and {database:.1f}")
    return ", ".join(told)


def _records(reading: Reading, stream: str) -> int:
    return sum(reading.records.values()) if stream == "all" else reading.records[stream]


def _rate(reading: Reading, stream: str) -> float:
    seconds = reading.total_s if stream == "all" else reading.seconds[stream]
    return _records(reading, stream) / seconds


async def _memory(server: Server, size: Size) -> Table:
    rows = []
    for people in size.weighed:
        async with (
            _vendor(server, people, size.activity, size.days) as url,
            server.database(f"ingest_{next(_numbers)}") as database,
        ):
            reading = await ask("benchmarks.syncing", Order(True, database, url, generate_key()), Reading)
        rows.append(
            [
                f"{people:,}",
                f"{_records(reading, 'all'):,}",
                f"{reading.records['activity']:,}",
                megabytes(reading.idle_rss),
                megabytes(reading.peak_rss),
                megabytes(reading.peak_rss - reading.idle_rss),
            ]
        )
    return Table(
        "Memory of a syncing process",
        ("people", "records", "of them log events", "idle MB", "peak MB", "above idle MB"),
        rows,
    )
