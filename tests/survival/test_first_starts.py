"""The first start on an embedded database, killed with all its processes at any moment: the next one finishes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import psutil
import pytest

from app.core import embedded, locks
from tests.folders import open_to_others
from tests.survival.processes import ADMIN_KEY, Caller, Replica, environment

REACHED_WITHIN_S = 90
_SOUGHT = 0.002


@dataclass
class Place:
    """Where a service keeps all it has: `data`, and `temporary` for what it forgets to keep."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def cluster(self) -> Path:
        return self.data / "postgres"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    def replica(self) -> Replica:
        settings = environment("", self.data, "", TMPDIR=str(self.temporary))
        return Replica(settings, self.folder)

    def password(self) -> str:
        return (self.data / "postgres.password").read_text().strip()

    def end_all(self) -> None:
        """Kill whatever works here: a server leaves the group of whoever starts it."""
        for pid in list(_working_in(str(self.data))):
            _kill(pid)


def _working_in(folder: str) -> Iterator[int]:
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(folder in argument for argument in process.cmdline()):
                yield process.pid
        except psutil.Error:
            continue


def _kill(pid: int) -> None:
    """With all that it has started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("first"))
    open_to_others(place.folder)
    place.temporary.mkdir()
    place.temporary.chmod(0o1777)
    yield place
    place.end_all()


def _there(path: str) -> Callable[[Place], Awaitable[bool]]:
    async def there(place: Place) -> bool:
        return (place.data / path).exists()

    return there


async def _migrating(place: Place) -> bool:
    """Whether a migration is under way, by the lock that it holds."""
    sockets = quote(str(place.cluster), safe="")
    try:
        connection = await asyncpg.connect(f"postgresql://postgres:{place.password()}@/postgres?host={sockets}")
    except (OSError, asyncpg.PostgresError):
        return False
    try:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid::int8 << 32) + objid::int8 = $1"
        return bool(await connection.fetchval(held, locks.SCHEMA))
    finally:
        await connection.close()


# In the order in which a start comes by: each of the starts gets further than the one before it.
MOMENTS = (
    _there("encryption.keys"),
    _there("postgres.unfinished"),
    _there("postgres.unfinished/cluster/PG_VERSION"),
    _there("postgres.unfinished/cluster/global/pg_control"),
    _there("postgres.unfinished/cluster/base/4"),
    _there("postgres"),
    _there("postgres/postmaster.pid"),
    _migrating,
)


async def _killed_at(place: Place, moment: Callable[[Place], Awaitable[bool]]) -> None:
    replica = place.replica()
    replica.start()
    process = replica.process
    assert process is not None
    try:
        async with asyncio.timeout(REACHED_WITHIN_S):
            while not await moment(place):
                assert process.poll() is None, (place.folder / f"{replica.port}.log").read_text()
                await asyncio.sleep(_SOUGHT)
    finally:
        _kill(process.pid)
        process.wait()
        place.end_all()


@pytest.mark.timeout(300)
async def test_a_first_start_that_is_killed_anywhere_is_finished_by_the_next(place: Place) -> None:
    for moment in MOMENTS:
        await _killed_at(place, moment)
    made = place.cluster.stat().st_ino
    replica = place.replica()
    async with httpx.AsyncClient() as client:
        replica.start()
        try:
            await replica.ready(REACHED_WITHIN_S)
            caller = Caller([replica], client)
            await caller.call("POST", "/v1/api-keys", expect=201, json={"name": "ours", "role": "viewer"})
            names = [key["name"] for key in await caller.everything("/v1/api-keys")]
            postmaster = int((place.cluster / "postmaster.pid").read_text().split()[0])
            known = psutil.Process(postmaster).environ()
            assert replica.stop() == 0
        finally:
            replica.kill()
    assert "ours" in names
    assert len(names) == 2, "one key of the first start, one of ours"
    assert place.cluster.stat().st_ino == made, "the cluster that was whole is the one that is used"
    assert "PATH" in known
    assert "SEATWISE" not in "".join(known)
    assert ADMIN_KEY not in known.values()
    assert sorted(path.name for path in place.data.iterdir()) == [
        "encryption.keys",
        "postgres",
        "postgres.password",
        "start.lock",
    ]
    left = [path.read_bytes() for path in place.temporary.rglob("*") if path.is_file()]
    assert place.password().encode() not in b"".join(left)


@pytest.mark.timeout(180)
async def test_two_that_start_at_the_same_moment_share_one_database(place: Place) -> None:
    both = [place.replica(), place.replica()]
    async with httpx.AsyncClient() as client:
        try:
            for replica in both:
                replica.start()
            for replica in both:
                await replica.ready(REACHED_WITHIN_S)
            one, other = (Caller([replica], client) for replica in both)
            await one.call("POST", "/v1/api-keys", expect=201, json={"name": "ours", "role": "viewer"})
            names = {key["name"] for key in await other.everything("/v1/api-keys")}
        finally:
            for replica in both:
                replica.kill()
    assert "ours" in names


def _someone_else() -> int:
    """The number of a program that is no server."""
    return os.getpid()


def _nobody() -> int:
    return next(pid for pid in range(400_000, 500_000) if not psutil.pid_exists(pid))


@pytest.mark.parametrize(
    ("pid", "lines"),
    [(_nobody, 0), (_nobody, 3), (_nobody, 5), (_nobody, 8), (_someone_else, 5), (_someone_else, 8)],
)
async def test_a_server_that_was_killed_while_it_started_is_no_hindrance(
    own_cluster: Path, pid: Callable[[], int], lines: int
) -> None:
    told = [str(pid()), str(own_cluster), "1700000000", "5432", str(own_cluster), "", "  1234567   1234567", "ready   "]
    file = own_cluster / "postmaster.pid"
    file.write_text("".join(line + "\n" for line in told[:lines]))
    file.chmod(0o666)
    server = await asyncio.to_thread(embedded.start, own_cluster.parent)
    try:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_server_that_was_killed_as_it_rolled_back_new_tables_recovers(own_cluster: Path) -> None:
    server = await asyncio.to_thread(embedded.start, own_cluster.parent)
    postmaster = psutil.Process(int((own_cluster / "postmaster.pid").read_text().split()[0]))
    connection, witness = await asyncpg.connect(server.url), await asyncpg.connect(server.url)
    await witness.execute("CREATE TABLE witness (number int)")
    writer = next(each for each in postmaster.children() if "walwriter" in each.cmdline()[0])
    writer.suspend()
    await connection.execute("BEGIN; CREATE UNLOGGED TABLE unfinished (number int)")
    await witness.execute("INSERT INTO witness VALUES (1)")
    await connection.execute("ROLLBACK")
    _kill(postmaster.pid)
    connection.terminate()
    witness.terminate()
    await asyncio.to_thread(server.stop)
    again = await asyncio.to_thread(embedded.start, own_cluster.parent)
    try:
        reader = await asyncpg.connect(again.url)
        assert await reader.fetchval("SELECT number FROM witness") == 1
        await reader.close()
    finally:
        await asyncio.to_thread(again.stop)


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that is whole, without a server."""
    folder = tmp_path_factory.mktemp("whole")
    open_to_others(folder)
    embedded.start(folder).stop()
    return folder / "postgres"


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="move it away"):
        embedded.start(tmp_path)
    assert (tmp_path / "postgres" / "letter.txt").read_text() == "dear"
