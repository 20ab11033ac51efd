"""Who came with a sync reaches a webhook by name, page by page, in messages that are as they are described."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.core.database import Database
from app.events.numbering import number_events
from app.sync.runtime import Runtime
from app.webhooks.delivering import delivering
from app.webhooks.fan_out import fan_out
from tests.conftest import Api
from tests.messages.described import assert_described
from tests.sync.world import World, user
from tests.webhooks.receiver import receiving


@pytest.mark.parametrize(("max_bytes", "least"), [(262_144, 3), (8192, 12)])
async def test_a_crowd_reaches_a_receiver_in_order(
    api: Api, world: World, runtime: Runtime, database: Database, max_bytes: int, least: int
) -> None:
    await database.pool.execute("DELETE FROM events; DELETE FROM webhooks")
    crowd = [user(f"{max_bytes}-{number:03}") for number in range(450)]
    async with receiving() as receiver:
        asked = {"name": "Joiners", "url": f"{receiver.url}/hook", "events": ["account.created"]}
        made = (await api.post("/v1/webhooks", json={**asked, "max_message_bytes": max_bytes})).json()
        receiver.secrets["/hook"] = made["signing_secret"]
        await world.sync(users=crowd)
        await number_events(database, fan_out)
        due = await database.pool.fetchval("SELECT count(*) FROM deliveries WHERE webhook_id = $1", UUID(made["id"]))
        assert due >= least
        async with delivering(runtime):
            messages = await receiver.until(due)
    pages: list[dict[str, Any]] = [message.json["data"] for message in messages]
    for page in pages:
        assert_described("account.created", page)
    assert all(len(message.body) <= max_bytes for message in messages)
    assert [(page["page"], page["pages"]) for page in pages] == [(number, due) for number in range(1, due + 1)]
    named = [account["vendor_id"] for page in pages for account in page["accounts"]]
    assert sorted(named) == [each.vendor_id for each in crowd]
