"""The newest schema comes while a version that does not know it serves: nobody is kept waiting, nothing breaks.

SEATWISE_TEST_FAULTS=all serves with the version before, out of the repository's history, while this one comes.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.core.database import Database, open_database
from app.core.schema import at_head, migrate
from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from tests.survival.crowd import Crowd, crowding
from tests.survival.dying import ROOT
from tests.survival.lab import ALL, Lab, url_of
from tests.survival.processes import Caller, Replica, environment
from tests.survival.test_killed_plans import _launch

# The schema of the first version that was given out; what comes after it comes while others serve.
FIRST = "0006"
# The last commit with that schema.
OLD_VERSION = "35cf875"
# They have a row for each account, or for each thing that happened.
LARGE = (
    "people", "vendor_users", "applications", "application_entries", "accounts", "activity_years", "history", "syncs",
    "sync_reads", "sync_seen", "sync_errors", "events", "entry_users", "entry_years", "plan_pages", "plan_changes",
)  # fmt: skip


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


async def _upgrade(database: Database, revision: str) -> None:
    def upgrade(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with database.engine.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.commit()


@asynccontextmanager
async def _reading_everything(database: Database) -> AsyncIterator[None]:
    """Somebody who reads the large tables, for the time of the block, in one transaction; as a long report does."""
    async with database.transaction() as connection:
        for table in LARGE:
            await connection.fetch(f"SELECT * FROM {table} LIMIT 1")
        yield


async def test_no_migration_waits_for_those_who_read_the_books(lab: Lab) -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]
    async with lab.copy("template0") as name:
        database = await open_database(url_of(lab.server_url, name), size=2)
        try:
            await _upgrade(database, FIRST)
            await database.pool.execute(f"ALTER DATABASE {name} SET lock_timeout = '1s'")
            await database.engine.dispose()
            async with _reading_everything(database):
                for revision in revisions[revisions.index(FIRST) + 1 :]:
                    began = time.monotonic()
                    await _upgrade(database, revision)
                    print(f"{revision}: {time.monotonic() - began:.2f} s")  # noqa: T201  the figures of a run
            assert await at_head(database)
        finally:
            await database.close()


async def test_a_migration_steps_back_while_a_table_is_dumped(lab: Lab) -> None:
    async with lab.copy("template0") as name:
        database = await open_database(url_of(lab.server_url, name), size=3)
        try:
            await _upgrade(database, FIRST)
            async with database.transaction() as dumping:
                await dumping.execute("LOCK TABLE api_keys, audit_events, instances IN ACCESS SHARE MODE")
                migrating = asyncio.create_task(migrate(database))
                for _ in range(15):
                    await database.pool.fetch("SELECT FROM api_keys")
                    await asyncio.sleep(0.1)
                assert not migrating.done()
            await migrating
            assert await at_head(database)
        finally:
            await database.close()


@pytest.fixture
def old_code(tmp_path: Path) -> Path:
    """The version before, as its users have it."""
    known = subprocess.run(["git", "cat-file", "-e", f"{OLD_VERSION}:app"], cwd=ROOT, capture_output=True, check=False)
    assert known.returncode == 0, f"the history here does not reach back to {OLD_VERSION}: git fetch --unshallow"
    code = tmp_path / "old"
    code.mkdir()
    archived = subprocess.run(
        ["git", "archive", OLD_VERSION, "app", "migrations", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "x", "-C", str(code)], input=archived.stdout, check=True)
    return code


@pytest.mark.skipif(not ALL, reason="needs the repository's history")
@pytest.mark.timeout(300)
async def test_the_version_before_goes_on_while_this_one_comes(lab: Lab, old_code: Path, tmp_path: Path) -> None:
    world = World(people=60, applications=4, days=3, activity=0.2)
    async with lab.copy("template0") as name, httpx.AsyncClient(timeout=20) as client:
        settings = environment(url_of(lab.server_url, name), tmp_path, lab.keys)
        old, new = Replica(settings, tmp_path, code=old_code), Replica(settings, tmp_path)
        with VendorServer(OktaVendor(world)) as vendor:
            try:
                old.start()
                await old.ready()
                crowd = Crowd([old.url], client)
                vendor.faults.latency_s = 0.3
                instance_id, sync_id = await _launch(Caller([old], client), vendor)
                async with crowding(crowd, 3, pause_s=0.05):
                    await asyncio.sleep(1)
                    new.start()
                    await new.ready()
                    crowd.urls.append(new.url)
                    vendor.faults.latency_s = 0
                    await crowd.until(len(crowd.acknowledged) + 30)
                    sync = await Caller([old], client).settled(sync_id)
                    assert sync["status"] == "succeeded", sync["failure"]
                    for replica in (old, new):
                        body = await Caller([replica], client).call(
                            "POST", f"/v1/instances/{instance_id}/syncs", expect=202
                        )
                        sync = await Caller([replica], client).settled(body["id"])
                        assert sync["status"] == "succeeded", sync["failure"]
                await crowd.check()
                print(crowd.figures())  # noqa: T201  the figures of a run
                assert set(crowd.statuses) == {200, 201}
                log = (tmp_path / f"{old.port}.log").read_text()
                assert "request_failed" not in log
                assert [old.stop(), new.stop()] == [0, 0]
            finally:
                old.kill()
                new.kill()
