"""A person is erased: nowhere in the database by name, and every figure as before; and nothing brings them back but a
vendor's word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from app import plans
from app.connectors.contract import Rejected, Use, User
from app.core.ids import new_id
from app.erasure import run as erasing
from app.erasure.requests import ask_erasure, erasure_of
from app.erasure.run import run_erasure
from app.events.publish import publish
from app.licences import exemptions
from app.models import Instance, Plan, ReportRun
from app.notifications.notify import notify
from app.reports.files import Format
from app.sync import plan_run
from app.sync import run as conductor
from app.sync.leased import Again
from app.sync.plan_run import run_plan
from app.webhooks import endpoints
from tests.conftest import Api
from tests.reports import answering
from tests.sync.conftest import OpenWorld
from tests.sync.world import WORLDS, ScriptedConnector, World, application, days_ago, user
from tests.webhooks.conftest import SOMEBODY

TRACES = ("lovelace", "byron", "ada@", "adalogin")
FORMS: tuple[Format, ...] = ("ndjson", "csv")
SEATS = {"wiki": ["00u1", "00u2", "ben"]}
WEBHOOK: dict[str, Any] = {
    "name": "w", "url": "https://127.0.0.1/w", "events": [], "format": "standard", "max_message_bytes": 2048,
    "delivery": "pages", "link_ttl_seconds": 60, "max_concurrency": 1, "auth": {"type": "none"},
}  # fmt: skip


def ada(name: str = "Ada Lovelace", **more: Any) -> User:
    facts: dict[str, Any] = {
        "vendor_id": "00u1", "username": "adalogin", "email": "Ada@example.com", "name": name, "given_name": "Ada",
        "family_name": "Lovelace", "metadata": {"nick": name}, "raw": msgspec.json.encode({"displayName": name}),
    }  # fmt: skip
    return user("x", **(facts | more))


def grace() -> User:
    metadata = {"manager": "ada@example.com", "note": "sits with Ada Lovelace, or adalogin"}
    return user("x", vendor_id="00u2", email="grace@example.com", name="Grace, R. Adm.", metadata=metadata)


OTHERS = [grace(), user("ben"), user("cid")]


async def mentions(world: World, *words: str) -> set[str]:
    """The tables with a row that has one of the words, in any spelling of case."""
    tables = await world.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relname !~ '^pg_'"
    )
    found = set()
    for table in tables:
        rows = await world.fetch(f"SELECT t::text AS row FROM {table['name']} t")
        if any(word in row["row"].lower() for row in rows for word in words):
            found.add(table["name"])
    pages = await world.fetch("SELECT payload FROM plan_pages")
    if any(word.encode() in page["payload"].lower() for page in pages for word in words):
        found.add("plan_pages")
    return found


async def person_of(world: World, email: str = "ada@example.com") -> UUID:
    (row,) = await world.fetch("SELECT id FROM people WHERE email = $1", email)
    found: UUID = row["id"]
    return found


async def erase(world: World, person_id: UUID) -> Again | None:
    async with world.runtime.database.session() as session:
        await ask_erasure(session, world.runtime.vault, person_id)
    return await run_erasure(world.runtime, person_id, asyncio.Event())


async def is_erased(world: World, person_id: UUID) -> bool:
    async with world.runtime.database.session() as session:
        return (await erasure_of(session, person_id)).status == "erased"


async def ask_plan(world: World) -> UUID:
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id)
        plan_id = (await plans.create(session, instance, by=SOMEBODY)).id
    assert await run_plan(world.runtime, plan_id, asyncio.Event()) is None
    return plan_id


async def plan_of(world: World, plan_id: UUID) -> Plan:
    async with world.runtime.database.session() as session:
        return await session.get_one(Plan, plan_id)


@dataclass
class Story:
    world: World
    person: UUID
    runs: dict[str, ReportRun]

    async def figures(self) -> dict[str, Any]:
        """What must stay: rows, ids, seats and use, and what reports say beside names."""
        fetch = self.world.fetch
        tables = (
            "people",
            "accounts",
            "vendor_users",
            "history",
            "events",
            "deliveries",
            "sync_errors",
            "plan_changes",
        )
        counts = {table: (await fetch(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in tables}
        seats = await fetch("SELECT id, person_id, vendor_id, seat, status, last_active_at FROM accounts ORDER BY id")
        days = await fetch("SELECT account_id, days FROM activity_years ORDER BY account_id")
        kept = {"usage", "days_active", "application", "accounts", "used", "unused", "covered_days"}
        rows = {
            name: [
                {key: value for key, value in row.items() if key in kept}
                for row in await answering.rows(self.world.runtime, run)
            ]
            for name, run in self.runs.items()
        }
        return {**counts, "rows": rows, "of accounts": [tuple(row.values()) for row in (*seats, *days)]}


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every table takes several."""
    monkeypatch.setattr("app.erasure.sweeps.STRETCH", 2)
    monkeypatch.setattr("app.erasure.runs.BATCH", 1)


@pytest.fixture(autouse=True)
def planning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans read the scripted vendor too."""

    @asynccontextmanager
    async def connect(_runtime: Any, _credential: Any, options: dict[str, Any], **_more: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(connector=ScriptedConnector(WORLDS[options["world"]].vendor))

    monkeypatch.setattr(plan_run, "connect", connect)


@pytest_asyncio.fixture
async def empty(runtime: Any) -> None:
    await runtime.database.pool.execute(
        "TRUNCATE people, instances, events, notifications, reports, report_chunks, webhooks, erasures, history CASCADE"
    )


@pytest_asyncio.fixture
async def story(empty: None, opening: OpenWorld, api: Api) -> Story:
    """Ada, once Byron, and everything that tells of her."""
    world = await opening()
    runtime, pool = world.runtime, world.runtime.database.pool
    uses = [Use("wiki", "00u1", days_ago(2)), Use("wiki", "00u2", days_ago(3))]
    rejected = [Rejected("00u1", "unreadable_value", "The date of adalogin cannot be read.")]
    wiki = [application("wiki")]
    await world.sync(users=[ada("Ada Byron"), *OTHERS], applications=wiki, seats=SEATS, uses=uses, rejected=rejected)
    await world.sync(users=[ada(), *OTHERS], rejected=[])
    person = await person_of(world)
    columns = ["name", "email", "username", "metadata.nick", "metadata.manager", "application", "usage", "days_active"]
    runs = {
        "accounts": await answering.answered(runtime, columns=columns, sort=["email"]),
        "people": await answering.answered(runtime, dataset="people", columns=["name", "given_name", "accounts"]),
        "one column": await answering.answered(runtime, columns=["email"]),
        "applications": await answering.answered(runtime, dataset="applications", columns=["name", "used", "unused"]),
    }
    hers = [
        {"field": "email", "op": "in", "value": ["ada@example.com"]},
        {"field": "role", "op": "is_null", "value": True},
    ]
    runs["hers"] = await answering.answered(runtime, columns=["name", "usage"], filters=hers)
    seat = await pool.fetchval("SELECT id FROM accounts WHERE person_id = $1 LIMIT 1", person)
    async with runtime.database.session() as session:
        await exemptions.create(session, {"account_id": seat, "reason": "Lovelace is ill", "until": None}, by=SOMEBODY)
        text = "Ask Ada Lovelace <adalogin>.\n\nHer address is ADA@example.com."
        await notify(session, "plan_held", instance_id=None, key=str(new_id()), subject="Of Ada Byron", text=text)
        await publish(session, "sync.failed", {"reason": "Ada Lovelace cannot be read"})
        webhook, _ = await endpoints.create(session, runtime, by=SOMEBODY, **WEBHOOK)
    attempts = [{"at": "2026-01-01T00:00:00Z", "error": None, "answer_excerpt": '{"got": "ada@example.com"}'}]
    await pool.execute(
        "INSERT INTO deliveries (webhook_id, message_id, event, attempts) VALUES ($1, $2, 'person.created', $3)",
        webhook.id, new_id(), attempts,
    )  # fmt: skip
    asked = {"dataset": "people", "columns": ["name", "email"]}
    headers = {"Idempotency-Key": str(new_id())}
    previewed = await (await api.as_role("operator")).post("/v1/reports/preview", json=asked, headers=headers)
    assert "Lovelace" in previewed.text
    return Story(world, person, runs)


async def test_an_erased_person_is_nowhere_and_every_figure_stays(story: Story, api: Api) -> None:
    world = story.world
    plan_id = await ask_plan(world)
    before = await story.figures()
    assert {
        "people", "accounts", "vendor_users", "history", "events", "report_chunks", "notifications", "sync_errors",
        "licence_exemptions", "deliveries", "plan_pages", "reports", "report_runs",
    } <= await mentions(world, *TRACES)  # fmt: skip
    kept = await world.fetch("SELECT 1 FROM idempotency_records")

    assert await erase(world, story.person) is None
    assert await is_erased(world, story.person)

    assert await mentions(world, *TRACES) == set()
    assert await story.figures() == before
    assert (await plan_of(world, plan_id)).status == "superseded"
    assert len(await world.fetch("SELECT 1 FROM idempotency_records")) == len(kept) - 1
    api = await api.as_role("viewer")
    shown = (await api.get(f"/v1/people/{story.person}")).json()
    assert (shown["name"], shown["email"], shown["status"], shown["accounts"]) == ("Erased person", None, "active", 2)
    then = await api.get(f"/v1/people/{story.person}/history")
    assert then.status_code == 200
    assert not any(word in then.text.lower() for word in TRACES)


async def test_the_rows_of_others_are_as_they_were(story: Story) -> None:
    runtime, run = story.world.runtime, story.runs["accounts"]
    before = {form: (await answering.downloaded(runtime, run, form)).splitlines(keepends=True) for form in FORMS}
    await erase(story.world, story.person)
    run = await answering.read(runtime, run.id)
    for form, lines in before.items():
        after = (await answering.downloaded(runtime, run, form)).splitlines(keepends=True)
        assert len(after) == len(lines)
        untouched = [line for line in lines if not any(word.encode() in line.lower() for word in TRACES)]
        assert len(untouched) >= 3
        assert set(untouched) <= set(after)
    rows = await answering.rows(runtime, run)
    table = answering.parsed(await answering.downloaded(runtime, run, "csv"))
    assert [[row[key] or "" for key in ("name", "email", "metadata.manager")] for row in rows] == [
        [line[table[0].index(key)] for key in ("name", "email", "metadata.manager")] for line in table[1:]
    ]
    assert [row["metadata.manager"] for row in rows if row["name"] == "Grace, R. Adm."] == ["[erased]"] * 2


async def test_a_run_that_changed_says_so_and_has_the_digest_of_its_rows(story: Story) -> None:
    await erase(story.world, story.person)
    for name, old in story.runs.items():
        run = await answering.read(story.world.runtime, old.id)
        file = await answering.downloaded(story.world.runtime, run, "ndjson")
        assert run.digest == f"sha256:{sha256(file).hexdigest()}"
        assert (run.erased_at is None) == (name == "applications")
        assert (run.digest == old.digest) == (name == "applications")


async def test_what_a_running_sync_has_read_before_brings_nothing_back(story: Story) -> None:
    world = story.world

    async def meanwhile(stream: str, number: int) -> None:
        if (stream, number) == ("users", 0):  # which has been chosen, and is on its way
            assert await erase(world, story.person) is not None  # it is not at its end before this sync is

    renamed = ada("Ada King", metadata={"nick": "Ada Lovelace"})
    world.vendor.before_page = meanwhile
    sync = await world.sync(users=[renamed, *OTHERS])
    assert sync.status == "succeeded", sync.failure
    assert await run_erasure(world.runtime, story.person, asyncio.Event()) is None
    assert await is_erased(world, story.person)
    assert await mentions(world, "ada king", *TRACES) <= {"vendor_users", "accounts"}  # Grace's manager, told anew
    assert await world.active() == {"00u1", "00u2", "ben", "cid"}


async def test_a_later_sync_brings_back_whom_the_vendor_still_lists_as_the_same_person(story: Story) -> None:
    world = story.world
    await erase(world, story.person)
    accounts = await world.fetch("SELECT id, person_id FROM accounts ORDER BY id")
    sync = await world.sync()
    assert await person_of(world) == story.person
    assert await world.fetch("SELECT id, person_id FROM accounts ORDER BY id") == accounts
    assert sync.counters["accounts"]["created"] == 0


async def test_two_vendors_that_list_an_erased_person_bring_back_one(story: Story, opening: OpenWorld) -> None:
    other = await opening()
    await other.sync(users=[ada(vendor_id="other-1")])
    await erase(story.world, story.person)
    assert await mentions(story.world, *TRACES) == set()
    await story.world.sync()
    await other.sync()
    assert await person_of(other) == story.person
    assert len(await other.fetch("SELECT 1 FROM accounts WHERE person_id = $1", story.person)) == 3


async def test_whom_no_vendor_lists_never_comes_back(story: Story) -> None:
    world = story.world
    await erase(world, story.person)
    await world.sync(users=[user("ben"), user("cid")])
    assert await mentions(world, *TRACES) == set()
    assert "00u1" not in await world.active()


async def test_a_plan_that_is_being_applied_brings_nobody_back(story: Story) -> None:
    world = story.world
    world.vendor.users = [ada("Ada King"), *OTHERS]
    plan_id = await ask_plan(world)
    async with world.runtime.database.session() as session:
        instance, plan = await plans.lock(session, plan_id)
        sync_id = (await plans.apply(session, instance, plan, by=SOMEBODY)).id
    world.vendor.users = [user("ben")]
    assert await erase(world, story.person) is not None  # what was read is still needed
    await conductor.run_sync(world.runtime, sync_id, asyncio.Event())
    assert (await world.look(sync_id)).status == "succeeded"
    assert await run_erasure(world.runtime, story.person, asyncio.Event()) is None
    assert await mentions(world, "ada king", *TRACES) <= {"vendor_users", "accounts"}
    assert await world.fetch("SELECT 1 FROM people WHERE email = 'ada@example.com'") == []


async def test_an_erasure_that_was_killed_goes_on(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    world = story.world

    class Killed(BaseException):
        pass

    async def die(*_: Any) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "out_of_run", die)
        with pytest.raises(Killed):
            await erase(world, story.person)
    assert "report_chunks" in await mentions(world, *TRACES)
    assert await run_erasure(world.runtime, story.person, asyncio.Event()) is None
    assert await mentions(world, *TRACES) == set()
    sealed = await world.fetch("SELECT sealed FROM erasures")
    assert [world.runtime.vault.open(row["sealed"], context=f"erasures/{story.person}") for row in sealed] == [b""]
