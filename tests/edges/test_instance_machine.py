"""Whatever is done to an instance, in whatever order: status, syncs and books are those of a simple model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.access.keys import create_key
from app.core.database import open_database
from app.core.errors import CredentialRefused
from app.core.settings import Settings
from app.main import create_app
from app.sync.connection import Connection
from app.sync.plan_run import run_plan
from app.sync.removal import run_removal
from app.sync.run import run_sync
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from tests.sync.world import ScriptedConnector, Vendor, refused, user

EXAMPLES, STEPS = 12, 20
CALLERS = ("app.sync.run.connect", "app.sync.plan_run.connect", "app.credentials.connect")


@dataclass
class Planned:
    """A plan that is kept, whom it would leave active, and the state of the books that it stands on."""

    id: str
    digest: str
    users: frozenset[str]
    version: int


class House:
    """The application on a loop of its own, which the steps of the machine take turns on."""

    def __init__(self, settings_: Settings) -> None:
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.vendor = Vendor()
        self.run(self._open(settings_))

    def run(self, work: Any) -> Any:
        return self.loop.run(work)

    async def _open(self, settings_: Settings) -> None:
        assert settings_.database_url is not None
        database = await open_database(settings_.database_url.get_secret_value(), size=4)
        self.stack.push_async_callback(database.close)
        self.runtime = Runtime(settings_, database, Vault.from_keys(generate_key()))
        async with database.session() as session:
            key = create_key(session, name="an admin", role="admin", email="admin@example.com").secret
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(self.runtime)),
            base_url="http://seatwise.test/v1",
            headers={"Authorization": f"Bearer {key}"},
        )
        self.client = await self.stack.enter_async_context(client)

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.client.request(method, path, **kwargs))
        assert answer.status_code < 500, answer.text
        return answer

    def fetchval(self, statement: str, *values: Any) -> Any:
        return self.run(self.runtime.database.pool.fetchval(statement, *values))

    @asynccontextmanager
    async def connect(self, *_: Any, **__: Any) -> AsyncIterator[Connection]:
        client: Any = SimpleNamespace(calls=1, throttled_seconds=0.0)
        yield Connection(ScriptedConnector(self.vendor), client)


class Instances(RuleBasedStateMachine):
    """One instance; `books` are the users that are active in them, `sync` the unfinished one."""

    house: ClassVar[House]

    @initialize(launched=st.booleans())
    def make(self, launched: bool) -> None:
        self.house.vendor = Vendor(page_size=50)
        self.prefix, self.made = uuid4().hex[:8], 0
        self.users: dict[str, bool] = {}
        self.books: frozenset[str] = frozenset()
        self.sync: str | None = None
        self.replays: Planned | None = None
        self.plan: Planned | None = None
        self.version = 0
        self.hire()
        secrets = {"name": "c", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": "00abc"}}
        credential = self.house.call("POST", "/credentials", json=secrets).json()["id"]
        self.name = f"Okta {self.prefix}"
        body = {
            "name": self.name,
            "connector": "okta",
            "options": {"sso_url": "https://acme.okta.com"},
            "credential_id": credential,
            "schedule": None,
            "sync": {"deactivation_limit_percent": 100},
        }
        answer = self.house.call("POST", "/instances", json=body)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        self.path, self.status = f"/instances/{self.id}", "draft"
        if launched:
            self.launch()
            self.work()

    def expect(self, answer: httpx.Response, *, when: bool, status: int = 202) -> bool:
        """Whether it was done: with `status` exactly `when` the model allows it, else a conflict or nothing there."""
        assert answer.status_code in ({status} if when else {404, 409, 412}), (when, answer.status_code, answer.text)
        return when

    @property
    def is_there(self) -> bool:
        return self.status not in {"deleting", "gone"}

    @property
    def may_sync(self) -> bool:
        return self.status == "live" and self.sync is None

    # What the vendor does.

    @rule()
    def hire(self) -> None:
        self.made += 1
        self.users[f"{self.prefix}-{self.made}"] = True
        self._list()

    @precondition(lambda self: len(self.users) > 1)
    @rule()
    def dismiss(self) -> None:
        self.users.popitem()
        self._list()

    @rule()
    def suspend_or_not(self) -> None:
        name = min(self.users)
        self.users[name] = not self.users[name]
        self._list()

    def _list(self) -> None:
        self.house.vendor.users = [user(name, active=active) for name, active in sorted(self.users.items())]

    def _active(self) -> frozenset[str]:
        return frozenset(name for name, active in self.users.items() if active)

    # What callers do.

    @rule()
    def launch(self) -> None:
        answer = self.house.call("POST", f"{self.path}/launch")
        if self.expect(answer, when=self.status == "draft"):
            self.status, self.sync, self.replays = "live", answer.json()["id"], None

    @rule()
    def sync_now(self) -> None:
        answer = self.house.call("POST", f"{self.path}/syncs")
        if self.expect(answer, when=self.may_sync):
            self.sync, self.replays = answer.json()["id"], None
        elif self.status == "live":
            assert answer.json()["sync_id"] == self.sync

    @precondition(lambda self: self.sync is not None)
    @rule()
    def cancel(self) -> None:
        assert self.house.call("POST", f"/syncs/{self.sync}/cancel").status_code == 202
        assert self.house.call("POST", f"/syncs/{self.sync}/cancel").status_code == 409
        self.sync = None

    @rule()
    def rename_contacts(self) -> None:
        answer = self.house.call("PATCH", self.path, json={"contacts": [f"{self.made}@example.com"]})
        self.expect(answer, when=self.is_there, status=200)

    @rule()
    def inactivate(self) -> None:
        answer = self.house.call("PATCH", self.path, json={"status": "inactive"})
        if self.expect(answer, when=self.status in {"live", "inactive"}, status=200):
            self.status, self.sync = "inactive", None

    @rule()
    def reactivate(self) -> None:
        answer = self.house.call("PATCH", self.path, json={"status": "live"})
        if self.expect(answer, when=self.status in {"live", "inactive"}, status=200) and self.status == "inactive":
            self.status, self.sync, self.replays = "live", answer.json()["last_sync_id"], None

    @rule()
    def make_plan(self) -> None:
        answer = self.house.call("POST", f"{self.path}/plans")
        if self.expect(answer, when=self.may_sync):
            plan_id = answer.json()["id"]
            self.house.run(run_plan(self.house.runtime, UUID(plan_id), asyncio.Event()))
            made = self.house.call("GET", f"/plans/{plan_id}").json()
            assert made["status"] == "ready", made
            self.plan = Planned(plan_id, made["digest"], self._active(), self.version)

    @precondition(lambda self: self.plan is not None and self.is_there)
    @rule()
    def apply_plan(self) -> None:
        plan = self.plan
        assert plan is not None
        answer = self.house.call("POST", f"/plans/{plan.id}/apply", json={"digest": plan.digest})
        if self.expect(answer, when=self.may_sync and plan.version == self.version):
            self.sync, self.replays, self.plan = answer.json()["id"], plan, None

    @precondition(lambda self: self.plan is not None and self.is_there)
    @rule()
    def discard_plan(self) -> None:
        assert self.plan is not None
        self.house.call("POST", f"/plans/{self.plan.id}/discard")
        status = self.house.call("GET", f"/plans/{self.plan.id}").json()["status"]
        assert status in {"discarded", "superseded"}
        self.plan = None

    @precondition(lambda self: self.made > 2)
    @rule()
    def delete_accounts(self) -> None:
        answer = self.house.call("DELETE", f"{self.path}/accounts", params={"confirm": self.name})
        if self.expect(answer, when=self.is_there):
            self.sync, self.books, self.version = None, frozenset(), self.version + 1
            self.books_are_those_of_the_model()
            self.house.run(run_removal(self.house.runtime, UUID(self.id), asyncio.Event()))

    @precondition(lambda self: self.made > 3)
    @rule()
    def delete(self) -> None:
        wrong = self.house.call("DELETE", self.path, params={"confirm": "another"})
        self.expect(wrong, when=False)
        answer = self.house.call("DELETE", self.path, params={"confirm": self.name})
        if self.expect(answer, when=self.is_there):
            self.status, self.sync, self.books = "deleting", None, frozenset()

    # What workers do.

    @precondition(lambda self: self.sync is not None)
    @rule()
    def work(self) -> None:
        self._work("succeeded")
        self.books = self.replays.users if self.replays else self._active()
        self.version += 1

    @precondition(lambda self: self.sync is not None and self.replays is None)
    @rule()
    def work_in_vain(self) -> None:
        self.house.vendor.fail = {("users", 0): refused(CredentialRefused)}
        self._work("failed")
        self.status = "inactive"

    def _work(self, status: str) -> None:
        assert self.sync is not None
        self.house.run(run_sync(self.house.runtime, UUID(self.sync), asyncio.Event()))
        ended = self.house.call("GET", f"/syncs/{self.sync}").json()
        assert ended["status"] == status, ended
        self.sync = None

    @precondition(lambda self: self.status == "deleting")
    @rule()
    def remove(self) -> None:
        self.house.run(run_removal(self.house.runtime, UUID(self.id), asyncio.Event()))
        self.status = "gone"

    # Whole stories, so that a run is not all beginnings.

    @precondition(lambda self: self.may_sync)
    @rule()
    def sync_to_the_end(self) -> None:
        self.sync_now()
        self.work()

    @precondition(lambda self: self.may_sync)
    @rule(moved=st.booleans())
    def plan_to_the_end(self, moved: bool) -> None:
        self.make_plan()
        self.hire()
        if moved:
            self.sync_to_the_end()
        self.apply_plan()
        if self.sync:
            self.work()

    # What always holds.

    @invariant()
    def status_is_that_of_the_model(self) -> None:
        answer = self.house.call("GET", self.path)
        assert (answer.json()["status"] if answer.status_code == 200 else "gone") == self.status

    @invariant()
    def at_most_one_sync_is_unfinished(self) -> None:
        unfinished = self.house.fetchval(
            "SELECT array_agg(id::text) FROM syncs WHERE instance_id = $1 AND status IN ('queued', 'running')",
            UUID(self.id),
        )
        assert unfinished == ([self.sync] if self.sync else None)

    @invariant()
    def books_are_those_of_the_model(self) -> None:
        params = {"instance_id": self.id, "status": "active", "limit": 200}
        answer = self.house.call("GET", "/accounts", params=params)
        assert {item["vendor_id"] for item in answer.json()["items"]} == self.books


@pytest.fixture
def house(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(settings)
    for name in CALLERS:
        monkeypatch.setattr(name, made.connect)
    yield made
    made.close()


def test_an_instance_lives_as_its_model_does(house: House) -> None:
    Instances.house = house
    bounds = settings_of(EXAMPLES, STEPS)
    run_state_machine_as_test(Instances, settings=bounds)


def settings_of(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
