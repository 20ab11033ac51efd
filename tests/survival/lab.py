"""Databases in which one thing goes wrong, and what is compared afterwards with one in which nothing did."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
from pydantic import SecretStr

from app.access.keys import create_key
from app.core.clock import today
from app.core.database import Database, open_database
from app.core.ids import new_id
from app.core.settings import Settings
from app.demo.vendors.serve import VendorServer
from app.main import create_app
from app.sync.runtime import Runtime
from app.vault import Vault
from tests.conftest import LOOPBACK, Api
from tests.survival.dying import Mortal, Nursery, Point
from tests.survival.processes import STOPS_WITHIN_S, Replica, environment

DIES_WITHIN_S = 40
QUIET_WITHIN_S = 60

# Nothing is under way, nothing waits to be told, and no job is left that anybody could take.
_QUIET = """
    SELECT NOT EXISTS (SELECT FROM syncs WHERE status IN ('queued', 'running'))
        AND NOT EXISTS (SELECT FROM plans WHERE status = 'planning')
        AND NOT EXISTS (SELECT FROM report_runs WHERE status IN ('queued', 'running'))
        AND NOT EXISTS (SELECT FROM instances WHERE leaving)
        AND NOT EXISTS (SELECT FROM events WHERE position IS NULL)
        AND NOT EXISTS (SELECT FROM deliveries WHERE status = 'pending')
        AND NOT EXISTS (SELECT FROM pgqueuer)
"""

# Everything that a user can see of it, without ids and times, which differ from run to run.
_FIGURES = {
    "people": "SELECT name, email, username, status, role FROM people",
    "users": "SELECT vendor_id, name, email, active, listed, absences, vendor_status FROM vendor_users",
    "applications": "SELECT key, kind, vendor_id, name, status, access, listed FROM applications",
    "accounts": "SELECT p.key, a.vendor_id, a.name, a.email, a.seat, a.status, a.last_active_at, a.absences"
    " FROM accounts a JOIN applications p ON p.id = a.application_id",
    "days": "SELECT p.key, a.vendor_id, y.year, y.last_day, y.days::text FROM activity_years y"
    " JOIN accounts a ON a.id = y.account_id JOIN applications p ON p.id = y.application_id",
    "history": "SELECT kind, name, action, (before - 'application_id')::text, (after - 'application_id')::text"
    " FROM history",
    "syncs": "SELECT status, trigger, counters::text, failure::text FROM syncs",
    "errors": "SELECT stream, vendor_id, code FROM sync_errors",
    "plans": "SELECT status, reason, counts::text, digest FROM plans",
    "changes": "SELECT kind, action, vendor_id, name, application FROM plan_changes",
    "instances": "SELECT name, status, leaving, held_plan_id IS NULL FROM instances",
    "runs": "SELECT status, total_rows, digest FROM report_runs",
    "chunks": "SELECT number, ndjson FROM report_chunks",
    "events": "SELECT type, jsonb_array_length(data -> 'people'), jsonb_array_length(data -> 'accounts') FROM events",
    "places": "SELECT position FROM events",
    "notifications": "SELECT kind, subject FROM notifications",
    "mails": "SELECT address, format FROM report_emails",
    "deliveries": "SELECT event, page, pages, first_row, rows, status FROM deliveries",
}


def url_of(server_url: str, name: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


@dataclass
class Forked(Replica):
    """A replica that costs a fork. How it ends is in its log alone."""

    nursery: Nursery = field(kw_only=True)
    mortal: Mortal | None = None

    def start(self) -> None:
        log = self.folder / f"{self.port}.log"
        log.touch()
        self.mortal = self.nursery.beget("serve", {**self.environment, "PORT": str(self.port)}, log)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, with_signal: signal.Signals) -> None:
        if self.mortal is None:
            return
        self.mortal.send(with_signal)
        ends_at = time.monotonic() + STOPS_WITHIN_S
        while not self.mortal.is_dead():
            assert time.monotonic() < ends_at, "it did not end"
            time.sleep(0.02)
        self.mortal = None


# A world that stands still, so that each run reads the same; nothing of it is older than the look-back.
YESTERDAY = today() - timedelta(days=1)
AT_A_TIME = 6
# Whoever is told in time that its work is done is stopped before its last words, which may be the point.
ATTEMPTS = 3
# Every point and the costly variants; else those at which most is under way.
ALL = os.environ.get("SEATWISE_TEST_FAULTS") == "all"


@dataclass(frozen=True)
class Lab:
    """server_url  of PostgreSQL. template  a migrated database there, of whose name copies are made."""

    server_url: str
    template: str
    nursery: Nursery
    folder: Path
    keys: str

    @asynccontextmanager
    async def copy(self, of: str | None = None, options: str = "") -> AsyncIterator[str]:
        """The name of a database with what another has in it, which nobody may be connected to."""
        name = f"fault_{new_id().hex}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {of or self.template} {options}")
        try:
            yield name
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def environment(self, name: str, **settings: str) -> dict[str, str]:
        told = {"SEATWISE_LEASE_S": "2", "SEATWISE_VENDOR_RETRY_S": "5", **settings}
        return environment(url_of(self.server_url, name), self.folder, self.keys, **told)

    @asynccontextmanager
    async def connection(self, name: str) -> AsyncIterator[asyncpg.Connection[Any]]:
        connection = await asyncpg.connect(url_of(self.server_url, name))
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def api(self, name: str) -> AsyncIterator[Api]:
        """The application on a database, without anything that works in the background."""
        url = url_of(self.server_url, name)
        database: Database = await open_database(url, size=2)
        settings = Settings(
            _env_file=None, database_url=SecretStr(url), data_dir=self.folder, outbound_allow=",".join(LOOPBACK)
        )
        try:
            runtime = Runtime(settings, database, Vault.from_keys(self.keys))
            app = create_app(runtime)
            async with database.session() as session:
                made = create_key(session, name="an admin", role="admin", email="admin@example.com")
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatwise.test") as client:
                yield Api(client, app, runtime, made.secret)
        finally:
            await database.close()

    def beget(self, name: str, point: Point | None = None, /, *, task: str = "work", **settings: str) -> Mortal:
        self.log_of(name).touch()
        return self.nursery.beget(task, self.environment(name, **settings), self.log_of(name), point)

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def finished(self, name: str, *, task: str = "work", **settings: str) -> None:
        """Let one process do all there is to do in a database."""
        mortal = self.beget(name, task=task, **settings)
        try:
            if task == "work":
                await self.quiet(name)
            else:
                await dead(mortal)
        finally:
            mortal.kill()
            await dead(mortal)

    async def disturbed(self, name: str, point: Point, *, task: str = "work", **settings: str) -> bool:
        """Let a process die at the point, and another finish what it has left. False where all was done without."""
        mortal = self.beget(name, point, task=task, **settings)
        async with self.connection(name) as connection:

            async def holds() -> object:
                return mortal.is_dead() or (task == "work" and await connection.fetchval(_QUIET))

            try:
                await eventually(holds, DIES_WITHIN_S)
            except TimeoutError:
                raise AssertionError(f"{point} was not reached: {self.log_of(name).read_text()[-4000:]}") from None
        died = mortal.is_dead()
        mortal.kill()
        await dead(mortal)
        if died:
            await self.finished(name, task=task, **settings)
        return died

    async def quiet(self, name: str) -> None:
        async with self.connection(name) as connection:

            async def holds() -> object:
                return await connection.fetchval(_QUIET)

            try:
                await eventually(holds, QUIET_WITHIN_S)
            except TimeoutError:
                raise AssertionError(self.log_of(name).read_text()[-4000:]) from None

    async def figures(self, name: str) -> dict[str, list[tuple[Any, ...]]]:
        async with self.connection(name) as connection:
            return {
                what: sorted((tuple(row) for row in await connection.fetch(question)), key=repr)
                for what, question in _FIGURES.items()
            }

    async def as_if_nothing_had_been(
        self, base: str, points: Sequence[Point], prepare: Callable[[str], Awaitable[object]] | None = None
    ) -> None:
        """Finish the work of a base in a copy for each point, where a process dies, and once where none does: all end
        with the same figures.

        prepare   is done with the name of each copy before.
        """
        room = asyncio.Semaphore(AT_A_TIME)

        async def one(point: Point | None) -> dict[str, Any]:
            for _ in range(ATTEMPTS):
                async with room, self.copy(base) as name:
                    if prepare is not None:
                        await prepare(name)
                    if point is None:
                        await self.finished(name)
                        return await self.figures(name)
                    if await self.disturbed(name, point):
                        return await self.figures(name)
            raise AssertionError(f"{point} was never reached")

        calm, *figures = await asyncio.gather(one(None), *(one(point) for point in points))
        told = {str(point): differences(got, calm) for point, got in zip(points, figures, strict=True)}
        different = {point: what for point, what in told.items() if what}
        assert not different, str(different)[:3000]


async def eventually(holds: Callable[[], Awaitable[object]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


async def dead(mortal: Mortal) -> None:
    async def holds() -> bool:
        return mortal.is_dead()

    await eventually(holds, DIES_WITHIN_S)


async def asked_to_read(api: Api, vendor: VendorServer, name: str, **sync: Any) -> tuple[str, str]:
    """An instance of the vendor, launched: its id and that of its first sync, which nobody works on yet."""
    options = {"sso_url": "https://acme.okta.com", "api_url": vendor.api_url, "auth_url": vendor.auth_url}
    credential = {
        "name": name, "connector": "okta", "scheme": "api_token", "options": options,
        "secrets": {"api_token": vendor.credentials.api_token},
    }  # fmt: skip
    made = await posted(api, "/v1/credentials", credential)
    instance = {
        "name": name, "connector": "okta", "credential_id": made["id"], "schedule": None,
        "sync": {"lookback_days": 5, **sync},
    }  # fmt: skip
    made = await posted(api, "/v1/instances", instance)
    launched = await posted(api, f"/v1/instances/{made['id']}/launch")
    return made["id"], launched["id"]


async def posted(api: Api, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await api.post(path, json=body) if body is not None else await api.post(path)
    assert answer.is_success, answer.text
    return dict(answer.json())


def differences(got: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Where two sets of figures differ: what is there too much, and what is missing."""
    told = {}
    for what, rows in expected.items():
        if got[what] != rows:
            extra = [row for row in got[what] if row not in rows]
            missing = [row for row in rows if row not in got[what]]
            told[what] = {"rows": (len(got[what]), len(rows)), "extra": extra[:3], "missing": missing[:3]}
    return told
