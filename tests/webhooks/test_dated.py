"""Messages are dated by the database's time, so that a host whose clock is wrong has none of them refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.clock import now
from app.core.ids import new_id
from app.webhooks.attempt import attempt
from app.webhooks.target import Target
from tests.host_clock import put_host_clock
from tests.webhooks.conftest import Outbox

A_MOMENT = timedelta(minutes=1)


@pytest.mark.parametrize("wrong", [timedelta(hours=-1), timedelta(hours=1)])
async def test_a_delivery_is_dated_by_the_databases_time(
    outbox: Outbox, post: Any, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    true = now()
    await outbox.webhook()
    await outbox.tell()
    put_host_clock(monkeypatch, wrong)
    async with post():
        delivery = await outbox.one()
    [message] = outbox.receiver.messages
    message.verify(outbox.receiver.secrets["/hook"])
    assert abs(int(message.headers["webhook-timestamp"]) - true.timestamp()) < A_MOMENT.total_seconds()
    assert abs(datetime.fromisoformat(delivery["attempts"][0]["at"]) - true) < A_MOMENT


async def test_what_is_sent_unclaimed_is_dated_so_too(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    true = now()
    webhook = await outbox.webhook()
    put_host_clock(monkeypatch, timedelta(hours=1))
    outcome = await attempt(outbox.runtime, Target.of(await outbox.state(webhook)), new_id(), b"{}", test=True)
    assert outcome.ok
    [message] = outbox.receiver.messages
    assert abs(int(message.headers["webhook-timestamp"]) - true.timestamp()) < A_MOMENT.total_seconds()
