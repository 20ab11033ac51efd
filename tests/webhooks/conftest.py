from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.access.principal import Principal
from app.core.database import Database
from app.core.ids import new_id
from app.events.numbering import number_events
from app.events.publish import EventType, publish
from app.sync.runtime import Runtime
from app.webhooks import endpoints
from app.webhooks.delivering import delivering
from app.webhooks.fan_out import fan_out
from tests.webhooks.receiver import Receiver, eventually, receiving

SOMEBODY = Principal("api_key", new_id(), "somebody", "somebody@example.com", "admin")


@dataclass
class Outbox:
    """Webhooks, events and deliveries of one database, and the post that carries them."""

    runtime: Runtime
    receiver: Receiver

    @property
    def database(self) -> Database:
        return self.runtime.database

    async def webhook(self, path: str = "/hook", **settings: Any) -> UUID:
        """A webhook at the receiver; it must be signed from now on."""
        merged = {
            "name": path,
            "url": self.receiver.url + path,
            "events": ["sync.failed"],
            "format": "standard",
            "max_message_bytes": 262_144,
            "delivery": "pages",
            "link_ttl_seconds": 86_400,
            "max_concurrency": 4,
            "auth": {"type": "none"},
            **settings,
        }
        async with self.database.session() as session:
            webhook, secret = await endpoints.create(session, self.runtime, by=SOMEBODY, **merged)
        self.receiver.secrets[path] = secret
        return webhook.id

    async def tell(self, *data: dict[str, Any], type_: EventType = "sync.failed") -> None:
        async with self.database.transaction() as connection:
            for one in data or ({"reason": "told"},):
                await publish(connection, type_, one)
        await number_events(self.database, fan_out)

    async def deliveries(self, **where: Any) -> list[dict[str, Any]]:
        rows = await self.database.pool.fetch("SELECT * FROM deliveries ORDER BY webhook_id, series, page, id")
        return [dict(row) for row in rows if all(row[name] == value for name, value in where.items())]

    async def state(self, webhook_id: UUID) -> dict[str, Any]:
        return dict(await self.database.pool.fetchrow("SELECT * FROM webhooks WHERE id = $1", webhook_id) or {})

    async def settled(self, within_s: float = 20) -> list[dict[str, Any]]:
        """Once nothing is pending any more."""

        async def nothing() -> bool:
            return not await self.deliveries(status="pending")

        await eventually(nothing, within_s)
        return await self.deliveries()

    async def one(self, within_s: float = 20) -> dict[str, Any]:
        (delivery,) = await self.settled(within_s)
        return delivery


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest_asyncio.fixture
async def outbox(runtime: Runtime, receiver: Receiver) -> Outbox:
    await runtime.database.pool.execute(
        "DELETE FROM webhooks; DELETE FROM events; DELETE FROM notifications;"
        " DELETE FROM report_runs; DELETE FROM reports"
    )
    settings = runtime.settings.model_copy(update={"webhook_retries": (0.05, 0.05), "webhook_timeout": 1.0})
    return Outbox(replace(runtime, settings=settings), receiver)


Delivering = Callable[[], Awaitable[None]]


@pytest.fixture
def post(outbox: Outbox) -> Any:
    """Deliver for the time of a block."""

    @asynccontextmanager
    async def running() -> AsyncIterator[Outbox]:
        async with delivering(outbox.runtime):
            yield outbox

    return running
