"""Receivers that do not take what they are sent, each in a way of its own."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest

from app.core.clock import now
from app.webhooks import attempt
from tests.webhooks.conftest import Outbox
from tests.webhooks.receiver import HANG, RESET, Message, Reply, eventually

REFUSED = (
    "Answered 400 (Bad Request): It does not accept what it was sent. "
    "It says: 400.1 Bad request content The input is missing. (trackingId e7eab60924f64aa2)."
)


def failing(count: int, reply: Reply | str) -> Any:
    """So many times that reply, then a plain success."""
    seen: list[Message] = []

    def behave(message: Message) -> Reply | str:
        seen.append(message)
        return reply if len(seen) <= count else Reply()

    return behave


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(500, b'{"message": "no room"}'), "Answered 500 (Internal Server Error). It says: no room."),
        (Reply(500, b"[" * 20_000 + b"]" * 20_000), "Answered 500 (Internal Server Error)."),
        (Reply(302, b"", {"Location": "/elsewhere"}), "Answered 302 (Found): redirects are not followed."),
        (Reply(401), "Answered 401 (Unauthorized): It refuses the credential."),
        (RESET, "The connection broke off before an answer came."),
        (HANG, "No complete answer came within 0.3 s."),
    ],
)
async def test_a_failed_attempt_is_told_and_tried_again(
    outbox: Outbox, post: Any, reply: Reply | str, error: str
) -> None:
    outbox.runtime = replace(
        outbox.runtime, settings=outbox.runtime.settings.model_copy(update={"webhook_timeout": 0.3})
    )
    outbox.receiver.behave = failing(1, reply)
    webhook_id = await outbox.webhook()
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    first, second = delivery["attempts"]
    assert first["error"].startswith(error)
    assert first["status_code"] == (reply.status if isinstance(reply, Reply) else None)
    assert (second["error"], second["status_code"], delivery["status"]) == (None, 200, "succeeded")
    sent = outbox.receiver.messages
    assert [message.path for message in sent] == ["/hook", "/hook"], "a redirect is not followed"
    assert len({message.id for message in sent}) == len({message.body for message in sent}) == 1
    assert (await outbox.state(webhook_id))["failing_since"] is None


async def test_after_the_last_attempt_it_is_failed(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = lambda _: Reply(500)
    webhook_id = await outbox.webhook()
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    assert (delivery["status"], len(delivery["attempts"]), delivery["next_attempt_at"]) == ("failed", 3, None)
    webhook = await outbox.state(webhook_id)
    assert webhook["status"] == "enabled"
    assert webhook["failing_since"].isoformat() == delivery["attempts"][0]["at"].replace("Z", "+00:00")


async def test_gone_disables_the_webhook_and_tells(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = lambda _: Reply(410)
    webhook_id = await outbox.webhook(max_concurrency=1)
    await outbox.tell({"reason": "first"}, {"reason": "second"})
    async with post():
        deliveries = await outbox.settled()
    assert [delivery["status"] for delivery in deliveries] == ["failed", "failed"]
    assert len(outbox.receiver.messages) == 1
    assert {delivery["attempts"][-1]["error"] for delivery in deliveries} == {
        "Answered 410 (Gone): the receiver wants no further messages.",
        "Not sent, because the webhook is disabled (gone).",
    }
    webhook = await outbox.state(webhook_id)
    assert (webhook["status"], webhook["disabled_reason"]) == ("disabled", "gone")
    event = await outbox.database.pool.fetchrow("SELECT data FROM events WHERE type = 'webhook.disabled'")
    assert event is not None
    assert event["data"] == {"webhook_id": str(webhook_id), "webhook": "/hook", "reason": "gone"}
    (told,) = await outbox.database.pool.fetch("SELECT * FROM notifications")
    assert (told["kind"], told["subject"]) == ("webhook_disabled", "The webhook /hook was disabled")
    assert "410 (Gone)" in told["text"]
    assert await outbox.database.pool.fetchval("SELECT address FROM notification_emails") == "somebody@example.com"


async def test_five_days_of_failures_disable_and_a_success_forgives(outbox: Outbox, post: Any) -> None:
    webhook_id = await outbox.webhook()
    age = "UPDATE webhooks SET failing_since = now() - interval '5 days 1 minute'"
    await outbox.database.pool.execute(age)
    await outbox.tell()
    async with post():
        await outbox.one()
        assert (await outbox.state(webhook_id))["failing_since"] is None
        outbox.receiver.behave = lambda _: Reply(503, b"down")
        await outbox.database.pool.execute(age)
        await outbox.tell()
        await outbox.settled()
    webhook = await outbox.state(webhook_id)
    assert (webhook["status"], webhook["disabled_reason"]) == ("disabled", "failing")
    text = await outbox.database.pool.fetchval("SELECT text FROM notifications")
    assert "Nothing has got through to it for five days." in text
    assert "Answered 503 (Service Unavailable)." in text
    assert str(webhook_id) in text


async def test_what_waits_for_a_disabled_webhook_fails(outbox: Outbox, post: Any) -> None:
    await outbox.webhook()
    await outbox.tell()
    await outbox.database.pool.execute("UPDATE webhooks SET status = 'disabled', disabled_reason = 'user'")
    async with post():
        delivery = await outbox.one()
    assert delivery["status"] == "failed"
    assert outbox.receiver.messages == []


@pytest.mark.parametrize("told", ["1", "date"])
async def test_retry_after_lengthens_a_wait(outbox: Outbox, post: Any, told: str) -> None:
    at = format_datetime(now() + timedelta(seconds=2), usegmt=True) if told == "date" else told
    outbox.receiver.behave = failing(1, Reply(429, b"{}", {"Retry-After": at}))
    await outbox.webhook()
    await outbox.tell()
    async with post():
        await outbox.receiver.until(1)
        delivery = await outbox.one()
    first, second = (time_of(attempt["at"]) for attempt in delivery["attempts"])
    assert second - first >= timedelta(seconds=0.9)


async def test_retry_after_is_believed_up_to_a_day(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = failing(1, Reply(503, b"", {"Retry-After": "999999999"}))
    await outbox.webhook()
    await outbox.tell()
    async with post():
        await eventually(partial(outbox.database.pool.fetchval, "SELECT TRUE FROM deliveries WHERE tries = 1"))
        (waiting,) = await outbox.deliveries()
    assert timedelta(hours=23) < waiting["next_attempt_at"] - now() <= timedelta(hours=24)


def time_of(text: str) -> Any:
    return type(now()).fromisoformat(text.replace("Z", "+00:00"))


async def test_a_workflow_that_did_not_run_is_a_failure_in_its_own_words(outbox: Outbox, post: Any) -> None:
    replies = iter(
        [
            Reply(200, b'{"message": "Workflow is not enabled"}'),
            Reply(
                400,
                b'{"detailCode": "400.1 Bad request content", "trackingId": "e7eab60924f64aa2",'
                b' "messages": [{"locale": "en-US", "text": "The input is missing."}]}',
                {"X-Deprecated": "true"},
            ),
            Reply(200, b'{"workflowExecutionId": "8e2c"}'),
        ]
    )
    outbox.receiver.behave = lambda _: next(replies)
    await outbox.webhook(format="sailpoint_workflow")
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    errors = [attempt["error"] for attempt in delivery["attempts"]]
    assert errors == [
        "Answered 200 (OK), but no workflow was started: it says: Workflow is not enabled.",
        REFUSED,
        None,
    ]
    assert delivery["workflow_execution_id"] == "8e2c"


async def test_what_a_receiver_repeats_of_our_secrets_is_not_shown(outbox: Outbox, post: Any) -> None:
    token = 'a"long/bearer+token.of=the~receiver'

    def repeat(message: Message) -> Reply:
        said = message.headers["authorization"]
        body = (
            f'{{"message": "not {said.replace(chr(34), chr(92) + chr(34))}", "half": "{said[:20].replace(chr(34), "")}'
        )
        wrapped = said[:25] + "\n  " + said[25:]
        signing = outbox.receiver.secrets["/hook"]
        return Reply(500, f'{body}", "wrapped": "{wrapped}", "key": "{signing}", "bell": "\x07\x00"}}'.encode())

    outbox.receiver.behave = repeat
    await outbox.webhook(auth={"type": "bearer", "secret": token})
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    shown = str(delivery["attempts"])
    assert "***" in shown
    for piece in (token, token[:12], token[-12:], outbox.receiver.secrets["/hook"][6:], "\x07", "\x00"):
        assert piece not in shown


async def test_an_answer_is_kept_in_part(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = lambda _: Reply(200, b"x" * 100_000)
    await outbox.webhook()
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    assert delivery["attempts"][0]["answer_excerpt"] == "x" * 1000


async def test_an_answer_counts_by_its_status_however_long_it_is(
    outbox: Outbox, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "MAX_ANSWER_BYTES", 500)
    outbox.receiver.behave = lambda _: Reply(200, b"x" * 5000)
    await outbox.webhook()
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    assert (delivery["status"], delivery["attempts"][0]["status_code"]) == ("succeeded", 200)


async def test_a_secret_that_no_header_can_carry_is_said(outbox: Outbox, post: Any) -> None:
    await outbox.webhook(auth={"type": "bearer", "secret": "line\nbreak"})
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    assert delivery["attempts"][0]["error"] == (
        "Nothing was sent: The token has characters that no token has. Copy it again."
    )
    assert outbox.receiver.messages == []


async def test_a_private_address_is_refused_at_each_connection(outbox: Outbox, post: Any) -> None:
    await outbox.webhook()
    await outbox.tell()
    outbox.runtime = replace(outbox.runtime, settings=outbox.runtime.settings.model_copy(update={"outbound_allow": ()}))
    async with post():
        delivery = await outbox.one()
    assert delivery["attempts"][0]["error"].startswith("outbound_refused: 127.0.0.1 was not called")
    assert outbox.receiver.messages == []


async def test_a_webhook_deleted_meanwhile_ends_its_deliveries(outbox: Outbox, post: Any) -> None:
    outbox.receiver.delay_s = 0.2
    webhook_id = await outbox.webhook()
    await outbox.tell()
    async with post():
        await eventually(outbox.receiver.asked)
        await outbox.database.pool.execute("DELETE FROM webhooks WHERE id = $1", webhook_id)
        other = await outbox.webhook("/other")
        await outbox.tell()
        await outbox.receiver.until(2)
        assert [delivery["webhook_id"] for delivery in await outbox.settled()] == [other]


async def test_a_slow_receiver_keeps_nobody_waiting(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = lambda message: HANG if message.path == "/slow" else Reply()
    await outbox.webhook("/slow")
    await outbox.webhook("/quick")
    await outbox.tell(*({"reason": str(n)} for n in range(20)))
    began = time.monotonic()
    async with post():
        await outbox.receiver.until(20)
        assert time.monotonic() - began < 1.0
        await outbox.database.pool.execute("DELETE FROM webhooks")
