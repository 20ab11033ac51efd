"""The lines of docs/webhooks.md work as they are printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.core.clock import now
from app.core.ids import new_id
from app.events.numbering import number_events
from app.events.publish import publish
from app.webhooks.messages import message
from app.webhooks.signing import new_secret, signed_headers
from tests.conftest import Api

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    """What the page's Python defines."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/webhooks.md", "exec"), names)  # noqa: S102  our own page
    return names


def test_a_receiver_verifies_what_is_signed(printed: dict[str, Any]) -> None:
    old, new, message_id = new_secret(), new_secret(), new_id()
    body = message("standard", message_id, "sync.failed", now(), {"reason": "x"})
    headers = signed_headers(str(message_id), now(), body, [new, old])
    for secret in (old, new):
        assert printed["receive"](body, headers, secret)["data"] == {"reason": "x"}
    assert printed["receive"](body + b" ", headers, new) is None
    assert printed["receive"](body, headers, new_secret()) is None


async def test_a_reader_follows_every_event(printed: dict[str, Any], api: Api) -> None:
    async with api.runtime.database.transaction() as connection:
        for number in range(120):
            await publish(connection, "sync.failed", {"number": number})
    await number_events(api.runtime.database)
    found: list[int] = []
    events, cursor = await printed["read"](api)
    while events:
        found += [event["data"]["number"] for event in events]
        events, cursor = await printed["read"](api, cursor)
    assert found == list(range(120))


async def test_the_webhook_of_a_workflow_is_taken(api: Api) -> None:
    found = re.search(r'```\n +(\{"name": "Leaver workflow".*?)```', PAGE, re.DOTALL)
    assert found is not None
    made = await api.post("/v1/webhooks", json=json.loads(found.group(1)))
    assert made.status_code == 201, made.text
    assert made.json()["secrets_set"] == ["client_secret"]
