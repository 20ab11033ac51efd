"""Tokens that Seatwise fetches itself, and secrets that overlap while they are changed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook as Verifier

from app.core.clock import now
from app.core.database import open_database
from app.core.ids import new_id
from app.sync.runtime import Runtime
from app.webhooks import endpoints
from app.webhooks.attempt import Target, attempt
from tests.webhooks.conftest import Outbox
from tests.webhooks.receiver import Message, Reply


async def minting(outbox: Outbox, **settings: Any) -> UUID:
    auth = {
        "type": "oauth2_client_credentials",
        "token_url": f"{outbox.receiver.url}/oauth/token",
        "client_id": "the-client",
        "client_secret": "the-client-secret-itself",
        "scope": "sp:workflow-execute:external",
    }
    return await outbox.webhook(auth=auth, **settings)


def only(number: int) -> Any:
    """Accepts the token of that number and later ones."""

    def behave(message: Message) -> Reply:
        return Reply() if int(message.headers["authorization"].rsplit("-", 1)[1]) >= number else Reply(401)

    return behave


async def test_one_token_serves_many_messages_and_is_kept_sealed(outbox: Outbox, post: Any) -> None:
    await minting(outbox)
    await outbox.tell(*({"reason": str(n)} for n in range(12)))
    async with post():
        await outbox.receiver.until(12)
        await outbox.settled()
    (asked,) = outbox.receiver.token_requests
    assert asked == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-client"],
        "client_secret": ["the-client-secret-itself"],
        "scope": ["sp:workflow-execute:external"],
    }
    kept = await outbox.database.pool.fetchrow("SELECT * FROM webhook_tokens")
    assert kept is not None
    assert "token-number" not in kept["sealed"]
    assert timedelta(seconds=700) < kept["expires_at"] - now() <= timedelta(seconds=749)


async def test_a_refused_token_is_renewed_once_within_the_attempt(outbox: Outbox, post: Any) -> None:
    outbox.receiver.token_life = None
    outbox.receiver.behave = only(2)
    await minting(outbox)
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    assert (delivery["status"], len(delivery["attempts"])) == ("succeeded", 1)
    assert [m.headers["authorization"] for m in outbox.receiver.messages] == [
        "Bearer token-number-1",
        "Bearer token-number-2",
    ]


async def test_a_token_that_is_never_accepted_fails_the_attempt(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = only(99)
    await minting(outbox)
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    assert delivery["status"] == "failed"
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [401, 401, 401]
    assert len(outbox.receiver.messages) == 6
    assert len(outbox.receiver.token_requests) == 4


async def test_a_token_is_renewed_before_its_end(outbox: Outbox, post: Any) -> None:
    await minting(outbox)
    async with post():
        await outbox.tell()
        await outbox.receiver.until(1)
        await outbox.database.pool.execute(
            "UPDATE webhook_tokens SET issued_at = now() - interval '12 minutes', expires_at = now() + interval '5 s'"
        )
        await outbox.tell()
        await outbox.receiver.until(2)
    assert outbox.receiver.messages[-1].headers["authorization"] == "Bearer token-number-2"


async def test_a_token_endpoint_that_refuses_is_told_in_its_words(outbox: Outbox, post: Any) -> None:
    auth = {
        "type": "oauth2_client_credentials",
        "token_url": f"{outbox.receiver.url}/no-token-here",
        "client_id": "the-client",
        "client_secret": "the-client-secret-itself",
    }
    outbox.receiver.behave = lambda _: Reply(
        401, b'{"error": "invalid_client", "error_description": "the-client-secret-itself"}'
    )
    await outbox.webhook(auth=auth)
    await outbox.tell()
    async with post():
        delivery = await outbox.one()
    error = delivery["attempts"][0]["error"]
    assert error.startswith("Nothing was sent: The vendor refused the credential (invalid_client).")
    assert "the-client-secret-itself" not in str(delivery["attempts"])


async def test_two_replicas_share_one_renewal(outbox: Outbox, post: Any) -> None:
    webhook_id = await minting(outbox)
    row = await outbox.state(webhook_id)
    other = await open_database(outbox.database.url, size=3)
    try:
        second = Runtime(outbox.runtime.settings, other, outbox.runtime.vault)
        outcomes = await asyncio.gather(
            *(attempt(runtime, Target.of(row), new_id(), b"{}") for runtime in (outbox.runtime, second) for _ in "1234")
        )
    finally:
        await other.close()
    assert all(outcome.ok for outcome in outcomes)
    assert len(outbox.receiver.token_requests) == 1


async def test_both_secrets_sign_while_they_overlap(outbox: Outbox, post: Any) -> None:
    webhook_id = await outbox.webhook()
    old = outbox.receiver.secrets.pop("/hook")
    async with outbox.database.session() as session:
        webhook = await endpoints.get(session, webhook_id, lock=True)
        new = await endpoints.rotate(session, outbox.runtime.vault, webhook, timedelta(hours=1))
    await outbox.tell()
    async with post():
        (message,) = await outbox.receiver.until(1)
    for secret in (old, new):
        Verifier(secret).verify(message.body, message.headers)
    assert len(message.headers["webhook-signature"].split()) == 2


async def test_a_test_asks_where_nothing_runs(outbox: Outbox) -> None:
    outbox.receiver.behave = lambda _: Reply(200, b'{"payload": {}}')
    webhook_id = await outbox.webhook("/execute/external/5?tenant=a%20b", format="sailpoint_workflow")
    target = Target.of(await outbox.state(webhook_id))
    outcome = await attempt(outbox.runtime, target, new_id(), b'{"input": {}}', test=True)
    assert (outcome.ok, outcome.status_code, outcome.answer_excerpt) == (True, 200, '{"payload": {}}')
    assert outbox.receiver.messages[0].path == "/execute/external/5/test?tenant=a%20b"
    assert not (await attempt(outbox.runtime, target, new_id(), b'{"input": {}}')).ok
