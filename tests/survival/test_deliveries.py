"""Replicas that are killed while they deliver: nothing is lost, each message keeps its id, and pages stay in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest_asyncio
from pydantic import SecretStr

from app.core.clock import now
from app.core.database import open_database
from app.core.ids import new_id
from app.core.settings import Settings
from app.events.publish import EventType, publish
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from app.webhooks import endpoints
from tests.conftest import LOOPBACK
from tests.survival.processes import environment, replicas
from tests.webhooks.conftest import SOMEBODY
from tests.webhooks.receiver import HANG, Message, Receiver, Reply, eventually, receiving

KEYS = generate_key()
# The lease of a dead process ends, and another looks; with room for a machine that is busy.
TAKEN_UP_WITHIN_S = 12


@pytest_asyncio.fixture
async def books(database_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    database = await open_database(database_url, size=2)
    await database.pool.execute("DELETE FROM webhooks; DELETE FROM events")
    settings = Settings(
        _env_file=None, database_url=SecretStr(database_url), data_dir=tmp_path, outbound_allow=",".join(LOOPBACK)
    )
    yield Runtime(settings, database, Vault.from_keys(KEYS))
    await database.close()


async def a_webhook(books: Runtime, receiver: Receiver, path: str, event: EventType, **settings: Any) -> UUID:
    merged = {
        "name": path,
        "url": receiver.url + path,
        "events": [event],
        "format": "standard",
        "max_message_bytes": 262_144,
        "delivery": "pages",
        "link_ttl_seconds": 86_400,
        "max_concurrency": 4,
        "auth": {"type": "none"},
        **settings,
    }
    async with books.database.session() as session:
        webhook, secret = await endpoints.create(session, books, by=SOMEBODY, **merged)
    receiver.secrets[path] = secret
    return webhook.id


async def tell(books: Runtime, type_: EventType, *data: dict[str, Any]) -> None:
    async with books.database.transaction() as connection:
        for one in data:
            await publish(connection, type_, one)


async def all_delivered(books: Runtime) -> bool:
    done: bool = await books.database.pool.fetchval(
        "SELECT NOT EXISTS (SELECT FROM deliveries WHERE status <> 'succeeded')"
        " AND NOT EXISTS (SELECT FROM events WHERE position IS NULL)"
    )
    return done


async def test_killed_replicas_lose_no_message_and_keep_pages_in_order(
    books: Runtime, database_url: str, tmp_path: Path
) -> None:
    settings = environment(database_url, tmp_path, KEYS)
    people = [{"name": f"Zoë {number}"} for number in range(300)]
    async with receiving() as receiver, replicas(2, settings, tmp_path) as started:
        receiver.delay_s = 0.05
        await a_webhook(books, receiver, "/single", "sync.failed")
        await a_webhook(books, receiver, "/pages", "person.created", max_message_bytes=1024)
        page = {"sync_id": new_id(), "page": 1, "pages": 1, "total": 300, "people": people}
        await tell(books, "person.created", page)
        await tell(books, "sync.failed", *({"reason": str(number)} for number in range(40)))
        await receiver.until(20)
        started[0].kill()
        await receiver.until(30)
        started[1].kill()
        await eventually(receiver.idle)
        await tell(books, "sync.failed", *({"reason": str(number)} for number in range(40, 50)))
        await asyncio.sleep(0.3)
        held = len(receiver.accepted)
        started[0].start()
        await started[0].ready()
        await eventually(partial(all_delivered, books), TAKEN_UP_WITHIN_S + 30)
        assert len(receiver.accepted) > held
        events = {
            str(row["id"])
            for row in await books.database.pool.fetch("SELECT id FROM events WHERE type = 'sync.failed'")
        }
        _check_single([message for message in receiver.accepted if message.path == "/single"], events)
        _check_pages([message for message in receiver.accepted if message.path == "/pages"], people)


def _check_single(messages: list[Message], events: set[str]) -> None:
    assert {message.id for message in messages} == events
    assert len({(message.id, message.body) for message in messages}) == len(events) == 50


def _check_pages(messages: list[Message], people: list[dict[str, str]]) -> None:
    """A page may come twice, but none before the one ahead of it has come."""
    first_seen = list(dict.fromkeys(message.json["data"]["page"] for message in messages))
    assert first_seen == list(range(1, len(first_seen) + 1))
    by_page = {message.json["data"]["page"]: message.json["data"]["people"] for message in messages}
    assert [person for page in first_seen for person in by_page[page]] == people
    assert len({message.id for message in messages}) == len(first_seen)


async def test_a_dead_process_holds_a_message_for_seconds_only(
    books: Runtime, database_url: str, tmp_path: Path
) -> None:
    settings = environment(database_url, tmp_path, KEYS)
    async with receiving() as receiver, replicas(2, settings, tmp_path) as started:
        await a_webhook(books, receiver, "/hook", "sync.failed")
        hang = {"now": True}
        receiver.behave = lambda _: HANG if hang["now"] else Reply()
        await tell(books, "sync.failed", {"reason": "told"})
        await eventually(receiver.asked)
        hang["now"] = False
        leased = await books.database.pool.fetchval("SELECT leased_until FROM deliveries")
        assert leased > now()
        # Whoever has it is dead: one is killed and the other told to end, which does not wait for it either.
        began = time.monotonic()
        started[0].kill()
        assert started[1].stop() == 0
        assert time.monotonic() - began < 20
        started[0].start()
        await started[0].ready()
        await receiver.until(1, within_s=TAKEN_UP_WITHIN_S)
        assert len({message.id for message in receiver.messages}) == 1
