"""A disk without room and a vendor that drips: told clearly, made up for once it is over, and no matter of the others.

SEATWISE_TEST_FAULTS=all fills a small disk in earnest (as root, who may mount one).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from tests.api.books import Books
from tests.folders import open_to_others
from tests.reports.answering import many_seats, of
from tests.survival.lab import ALL, YESTERDAY, Lab, asked_to_read, eventually, posted

# As PostgreSQL raises it where a table cannot grow.
_NO_ROOM = """
    CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file "base/5/1259": No space left on device' USING ERRCODE = 'disk_full';
    END $$;
    CREATE TRIGGER no_room BEFORE INSERT ON accounts EXECUTE FUNCTION no_room();
    CREATE TRIGGER no_room BEFORE INSERT ON report_chunks EXECUTE FUNCTION no_room();
    CREATE TRIGGER no_room BEFORE INSERT ON api_keys EXECUTE FUNCTION no_room();
"""


@pytest.fixture
def vendor(small_pages: None) -> Iterator[VendorServer]:
    world = World(people=60, applications=4, days=3, today=YESTERDAY, activity=0.2)
    with VendorServer(OktaVendor(world)) as serving:
        yield serving


async def _a_report(lab: Lab, name: str) -> None:
    async with lab.api(name) as api:
        application = await many_seats(Books(api.runtime.database), 50)
        report = {"name": "Seats", "dataset": "accounts", "columns": ["name"], "filters": of(application)}
        made = await posted(api, "/v1/reports", report)
        await posted(api, f"/v1/reports/{made['id']}/runs")


async def test_work_waits_for_room_on_the_disk_and_then_ends_as_ever(lab: Lab, vendor: VendorServer) -> None:
    async with lab.copy() as base:
        await _a_report(lab, base)
        async with lab.api(base) as api:
            await asked_to_read(api, vendor, "Okta")
        async with lab.copy(base) as full, lab.connection(full) as connection, lab.api(full) as api:
            await connection.execute(_NO_ROOM)
            mortal = lab.beget(full)
            await _told_of_no_room(lab, full)
            refused = await api.post("/v1/api-keys", json={"name": "a key", "role": "viewer"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (await api.get("/v1/accounts")).status_code == 200
            assert await connection.fetchval("SELECT status FROM syncs") == "running"
            await connection.execute("DROP FUNCTION no_room CASCADE")
            await lab.quiet(full)
            mortal.kill()
            figures = await lab.figures(full)
        await lab.finished(base)
        assert figures == await lab.figures(base)


async def _told_of_no_room(lab: Lab, name: str) -> None:
    """Both the sync and the report have met it, and have said so in the log."""

    async def holds() -> bool:
        log = lab.log_of(name).read_text()
        return all(f"{who}.database_lost" in log for who in ("sync", "report")) and "DiskFullError" in log

    await eventually(holds, 30)


async def test_a_vendor_that_drips_holds_nobody_else_up(lab: Lab, vendor: VendorServer) -> None:
    async with _dripping() as url, lab.copy() as name:
        slow = cast("VendorServer", SimpleNamespace(api_url=url, auth_url=url, credentials=vendor.credentials))
        async with lab.api(name) as api:
            _, held_up = await asked_to_read(api, slow, "Slow")
            _, quick = await asked_to_read(api, vendor, "Quick")
        await lab.finished(name, SEATWISE_VENDOR_TIMEOUT_S="1.5", SEATWISE_VENDOR_RETRY_S="1")
        async with lab.connection(name) as connection:
            syncs = {str(row["id"]): row for row in await connection.fetch("SELECT * FROM syncs")}
        assert syncs[quick]["status"] == "succeeded"
        assert syncs[quick]["finished_at"] < syncs[held_up]["finished_at"]
        assert syncs[held_up]["status"] == "failed"
        assert (syncs[held_up]["finished_at"] - syncs[held_up]["started_at"]).total_seconds() < 15
        failure = syncs[held_up]["failure"]
        assert "vendor_unavailable" in failure
        assert "1.5 s" in failure


@asynccontextmanager
async def _dripping() -> AsyncIterator[str]:
    """The URL of a vendor that answers byte by byte and never comes to an end."""
    tasks: set[asyncio.Task[Any] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.1)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


@pytest_asyncio.fixture
async def small_disk(server_url: str, tmp_path: Path) -> AsyncIterator[Path]:
    """A disk of a few megabytes, which the tests' own server keeps a tablespace `small` on."""
    if os.environ.get("SEATWISE_TEST_DATABASE_URL") or os.geteuid() != 0:
        pytest.skip("only root mounts a disk, for a server on this machine")
    open_to_others(tmp_path)
    with _mounted(tmp_path / "small") as place:
        connection = await asyncpg.connect(server_url)
        try:
            await connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            yield place
            await connection.execute("DROP TABLESPACE small")
        finally:
            await connection.close()


@contextmanager
def _mounted(place: Path) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=True)
    try:
        shutil.chown(place, "embedded_postgres", "embedded_postgres")
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(not ALL, reason="mounts a disk")
async def test_a_disk_that_is_really_full_is_told_and_made_up_for(
    lab: Lab, vendor: VendorServer, small_disk: Path
) -> None:
    async with lab.copy() as base:
        async with lab.api(base) as api:
            await asked_to_read(api, vendor, "Okta")
        async with lab.copy(base, "TABLESPACE small") as full:
            vendor.faults.latency_s = 0.2
            mortal = lab.beget(full)
            async with lab.connection(full) as connection:
                await eventually(lambda: connection.fetchval("SELECT EXISTS (SELECT FROM sync_reads)"), 30)
                filler = small_disk / "filler"
                filler.write_bytes(b"x" * shutil.disk_usage(small_disk).free)

            async def told() -> bool:
                return "DiskFullError" in lab.log_of(full).read_text()

            await eventually(told, 30)
            filler.unlink()
            vendor.faults.latency_s = 0
            await lab.quiet(full)
            mortal.kill()
            figures = await lab.figures(full)
        await lab.finished(base)
        assert figures == await lab.figures(base)
