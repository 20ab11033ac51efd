"""Messages on their way: signed, in the format of the receiver, tried again, given up, sent again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.webhooks import claims
from app.webhooks.retention import forget_deliveries
from tests.webhooks.conftest import Outbox
from tests.webhooks.receiver import HANG, Reply, eventually


async def test_an_event_reaches_those_who_subscribe(outbox: Outbox, post: Any) -> None:
    await outbox.webhook("/hook")
    await outbox.webhook("/other", events=["sync.succeeded"])
    await outbox.tell({"instance": "Okta", "reason": "It broke."})
    async with post():
        (message,) = await outbox.receiver.until(1)
        delivery = await outbox.one()
    (event,) = await outbox.database.pool.fetch("SELECT * FROM events")
    assert message.id == str(event["id"])
    assert message.json["type"] == "sync.failed"
    assert message.json["data"] == {"instance": "Okta", "reason": "It broke."}
    assert delivery["status"] == "succeeded"
    assert delivery["attempts"][0]["status_code"] == 200


async def test_a_workflow_gets_its_input(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = lambda _: Reply(200, b'{"workflowExecutionId": "7d1f"}')
    await outbox.webhook(format="sailpoint_workflow", auth={"type": "bearer", "secret": "the-token"})
    await outbox.tell({"reason": "told"})
    async with post():
        (message,) = await outbox.receiver.until(1)
        delivery = await outbox.one()
    assert set(message.json) == {"input"}
    assert message.json["input"] | {"timestamp": ""} == {
        "reason": "told",
        "type": "sync.failed",
        "timestamp": "",
        "message_id": message.id,
    }
    assert message.headers["authorization"] == "Bearer the-token"
    assert delivery["workflow_execution_id"] == "7d1f"


async def test_a_database_that_goes_away_and_comes_back_loses_nothing(outbox: Outbox, post: Any) -> None:
    outbox.receiver.delay_s = 0.05
    await outbox.webhook()
    await outbox.tell(*({"reason": str(number)} for number in range(30)))
    async with post():
        await outbox.receiver.until(8)
        await outbox.database.pool.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await outbox.settled(within_s=30)
    assert len(set(outbox.receiver.ids())) == 30


async def test_what_is_under_way_at_the_end_is_given_back(
    outbox: Outbox, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.webhooks.delivering.GRACE_S", 0.1)
    outbox.runtime = replace(
        outbox.runtime, settings=outbox.runtime.settings.model_copy(update={"webhook_timeout": 20})
    )
    hang = [HANG]
    outbox.receiver.behave = lambda _: hang[0] if hang else Reply()
    await outbox.webhook()
    await outbox.tell()
    async with post():
        await eventually(outbox.receiver.asked)
    (delivery,) = await outbox.deliveries()
    assert (delivery["status"], delivery["leased_until"], delivery["attempts"]) == ("pending", None, [])
    hang.clear()
    async with post():
        await outbox.one()
    assert len({message.id for message in outbox.receiver.messages}) == 1


async def test_old_deliveries_are_forgotten(outbox: Outbox) -> None:
    await outbox.webhook()
    await outbox.tell({"reason": "old"}, {"reason": "new"})
    await outbox.database.pool.execute(
        "UPDATE deliveries SET created_at = now() - interval '31 days'"
        " WHERE id = (SELECT id FROM deliveries ORDER BY id LIMIT 1)"
    )
    await forget_deliveries(outbox.database)
    assert len(await outbox.deliveries()) == 1


async def test_a_claim_reads_no_more_of_a_long_queue_than_it_takes(outbox: Outbox) -> None:
    """A million that wait must cost a claim nothing: it reads the index from its beginning."""
    await outbox.webhook()
    await outbox.tell(*({"reason": str(number)} for number in range(2000)))
    await outbox.database.pool.execute("ANALYZE deliveries; ANALYZE webhooks")
    async with outbox.database.transaction() as connection:
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {claims.CLAIM}", 16, 6.0)
    scans = [node for node in nodes(json.loads(plan)[0]["Plan"]) if node.get("Index Name") == "ix_deliveries_due"]
    assert scans
    assert all(scan["Actual Rows"] <= 16 for scan in scans)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]
