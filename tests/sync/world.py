"""The storyteller: one instance of a vendor that lists exactly what a test says, synced for real into PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec

from app.activity.days import Span, dates
from app.connectors import registry
from app.connectors.contract import Application, Assignment, Check, Page, Rejected, StreamName, Use, User
from app.core.clock import now
from app.core.errors import CursorRefused, VendorError
from app.core.ids import new_id
from app.models import Credential, Instance, Sync
from app.sync import run as conductor
from app.sync.connection import Connection
from app.sync.requests import request_sync
from app.sync.runtime import Runtime

DEFAULTS: dict[str, Any] = {
    "scope": "users_and_accounts",
    "preference": "create_and_update",
    "deactivate": True,
    "deactivation_limit_percent": 100,
    "lookback_days": 90,
    "detection": "label",
    "detect_unmanaged": False,
    "absence_scans": 1,
    "role": None,
    "username_format": "email",
    "restrict_access": False,
    "filters": [],
}


def user(name: str, /, *, email: str | None = "", active: bool = True, **more: Any) -> User:
    """A user whose id and username are `name`; the e-mail is made from it unless told (None for none)."""
    facts: dict[str, Any] = {
        "vendor_id": name,
        "username": name,
        "email": f"{name}@example.com" if email == "" else email,
        "name": name.title(),
        "given_name": None,
        "family_name": None,
        "active": active,
        "vendor_status": "ACTIVE" if active else "SUSPENDED",
        "role": None,
        "metadata": {"status": "ACTIVE" if active else "SUSPENDED"},
        "raw": msgspec.json.encode({"id": name}),
    }
    return User(**{**facts, **more})


def application(name: str, /, **more: Any) -> Application:
    facts: dict[str, Any] = {
        "vendor_id": name, "name": name.title(), "definition": name, "active": True, "access": "assigned",
    }  # fmt: skip
    return Application(**{**facts, **more})


def days_ago(days: int, hour: int = 12) -> datetime:
    moment = (now() - timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)
    return min(moment, now())


@dataclass
class Vendor:
    """What the vendor lists now. `fail` raises before the page with that number (from 0) of a stream is given."""

    users: Sequence[User] = ()
    applications: Sequence[Application] = ()
    seats: dict[str, Sequence[str]] = field(default_factory=dict)
    uses: Sequence[Use] = ()
    rejected: Sequence[Rejected] = ()
    check: Check = field(default_factory=lambda: Check(ok=True, tenant="t", subject="s"))
    page_size: int = 2
    fail: dict[tuple[str, int], Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    polling: bool = True
    before_page: Callable[[str, int], Any] | None = None


class ScriptedConnector:
    """Pages of a Vendor; cursors are page numbers, an activity cursor counts the uses given."""

    streams: frozenset[StreamName] = frozenset({"users", "applications", "assignments", "activity"})

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    async def check(self) -> Check:
        self.vendor.asked.append("check")
        return self.vendor.check

    async def _pages(self, stream: str, records: Sequence[Any], cursor: str | None) -> AsyncIterator[Page[Any]]:
        size = self.vendor.page_size
        pages = [records[start : start + size] for start in range(0, len(records), size)] or [[]]
        if cursor == "gone":
            raise CursorRefused("no such page")
        for number in range(int(cursor or 0), len(pages)):
            if self.vendor.before_page is not None:
                await self.vendor.before_page(stream, number)
            if error := self.vendor.fail.pop((stream, number), None):
                raise error
            self.vendor.asked.append(f"{stream} {number}")
            last = number == len(pages) - 1
            rejected = self.vendor.rejected if stream == "users" and number == 0 else ()
            yield Page(pages[number], last=last, cursor=None if last else str(number + 1), rejected=rejected)

    def users(self, cursor: str | None = None) -> AsyncIterator[Page[User]]:
        return self._pages("users", self.vendor.users, cursor)

    def applications(self, cursor: str | None = None) -> AsyncIterator[Page[Application]]:
        return self._pages("applications", self.vendor.applications, cursor)

    def assignments(self, scope_id: str, cursor: str | None = None) -> AsyncIterator[Page[Assignment]]:
        seats = [Assignment(scope_id, name) for name in self.vendor.seats.get(scope_id, ())]
        return self._pages(f"assignments/{scope_id}", seats, cursor)

    async def activity(self, since: datetime, until: datetime, cursor: str | None = None) -> AsyncIterator[Page[Use]]:
        self.vendor.asked.append(f"activity since {since.date()}" if cursor is None else f"activity after {cursor}")
        given = int(cursor) if cursor is not None else 0
        fresh = [use for use in self.vendor.uses[given:] if cursor is not None or use.at >= since]
        async for page in self._pages("activity", fresh, None):
            yield Page(
                page.records,
                last=page.last,
                cursor=str(len(self.vendor.uses)) if page.last and self.vendor.polling else None,
            )


class World:
    """An instance that has been launched, and the means to sync it and look at its books."""

    def __init__(self, runtime: Runtime, monkeypatch: Any, instance_id: UUID) -> None:
        self.runtime = runtime
        self.vendor = Vendor()
        self.instance_id = instance_id
        world = self

        @asynccontextmanager
        async def connect(
            _runtime: Runtime, _credential: Credential, options: dict[str, Any], _on_event: Any = None
        ) -> AsyncIterator[Connection]:
            client: Any = SimpleNamespace(calls=1, throttled_seconds=0.0)
            chosen = WORLDS[options["world"]]
            yield Connection(ScriptedConnector(chosen.vendor), client)

        WORLDS[str(instance_id)] = world
        monkeypatch.setattr(conductor, "connect", connect)

    async def sync(self, **vendor: Any) -> Sync:
        """Change what the vendor lists, then run one sync to its end."""
        for name, value in vendor.items():
            setattr(self.vendor, name, value)
        sync_id = await self.request()
        await conductor.run_sync(self.runtime, sync_id, asyncio.Event())
        return await self.look(sync_id)

    async def request(self) -> UUID:
        async with self.runtime.database.session() as session:
            instance = await session.get_one(Instance, self.instance_id)
            return (await request_sync(session, instance, trigger="manual")).id

    async def look(self, sync_id: UUID) -> Sync:
        async with self.runtime.database.session() as session:
            return await session.get_one(Sync, sync_id)

    async def instance(self) -> Instance:
        async with self.runtime.database.session() as session:
            return await session.get_one(Instance, self.instance_id)

    async def configure(self, **settings: Any) -> None:
        """Change the instance's sync settings."""
        async with self.runtime.database.session() as session:
            instance = await session.get_one(Instance, self.instance_id)
            instance.sync = {**instance.sync, **settings}

    async def fetch(self, query: str, *values: Any) -> list[Any]:
        async with self.runtime.database.pool.acquire() as connection:
            return list(await connection.fetch(query, *values))

    async def accounts(self, of: str = "") -> dict[str, tuple[str, str]]:
        """Seat and status by user, in the application with that entry's id; '' for the integrated one."""
        rows = await self.fetch(
            """
            SELECT a.vendor_id, a.seat, a.status FROM accounts a JOIN applications p ON p.id = a.application_id
            WHERE a.instance_id = $1 AND coalesce(p.vendor_id, '') = $2
            """,
            self.instance_id,
            of,
        )
        return {row["vendor_id"]: (row["seat"], row["status"]) for row in rows}

    async def active(self, of: str = "") -> set[str]:
        return {name for name, (_, status) in (await self.accounts(of)).items() if status == "active"}

    async def people(self) -> dict[str, str]:
        """Status by e-mail (or name, where there is none) of everybody this instance has brought."""
        rows = await self.fetch(
            """
            SELECT DISTINCT coalesce(p.email, p.name) AS who, p.status FROM people p
            JOIN vendor_users u ON u.person_id = p.id WHERE u.instance_id = $1
            """,
            self.instance_id,
        )
        return {row["who"]: row["status"] for row in rows}

    async def days(self, of: str, who: str) -> list[date]:
        rows = await self.fetch(
            """
            SELECT y.year, y.days FROM activity_years y JOIN accounts a ON a.id = y.account_id
            JOIN applications p ON p.id = a.application_id
            WHERE a.instance_id = $1 AND p.vendor_id = $2 AND a.vendor_id = $3
            """,
            self.instance_id,
            of,
            who,
        )
        found: list[date] = []
        for row in rows:
            found += dates({row["year"]: row["days"]}, Span(date(row["year"], 1, 1), date(row["year"], 12, 31)))
        return sorted(found)

    async def covered(self) -> list[date]:
        rows = await self.fetch("SELECT year, days FROM coverage_years WHERE instance_id = $1", self.instance_id)
        found: list[date] = []
        for row in rows:
            found += dates({row["year"]: row["days"]}, Span(date(row["year"], 1, 1), date(row["year"], 12, 31)))
        return sorted(found)

    async def changes(self, sync: Sync) -> list[tuple[str, str, str]]:
        """Kind, name and action of each change of a sync, in order."""
        rows = await self.fetch("SELECT kind, name, action FROM history WHERE sync_id = $1 ORDER BY id", sync.id)
        return [tuple(row.values()) for row in rows]


WORLDS: dict[str, World] = {}


async def open_world(runtime: Runtime, monkeypatch: Any, **settings: Any) -> World:
    """A live Okta instance (which has all four streams) on a scripted vendor."""
    credential_id, instance_id = new_id(), new_id()
    async with runtime.database.session() as session:
        session.add(
            Credential(
                id=credential_id,
                name="c",
                connector="okta",
                scheme="api_token",
                storage="vault",
                sealed="",
                secrets_set=[],
                options={},
                created_by={},
            )
        )
        await session.flush()
        session.add(
            Instance(
                id=instance_id,
                name=f"Okta {instance_id}",
                connector="okta",
                credential_id=credential_id,
                options={"world": str(instance_id)},
                sync={**DEFAULTS, **settings},
                schedule=None,
                mapping=[{"source": r.source, "target": r.target} for r in registry.manifest("okta").default_mapping],
                contacts=[],
                owner="owner@example.com",
                status="live",
                created_by={},
            )
        )
    return World(runtime, monkeypatch, instance_id)


def refused(error: type[VendorError]) -> VendorError:
    return error("The vendor said no.", request="GET /api/v1/users", vendor_status=401, vendor_code="E0000011")


def names(users: Iterable[User]) -> set[str]:
    return {u.vendor_id for u in users}
