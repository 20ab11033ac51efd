"""The demo's receiver believes what the standard's own library has signed, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from app.demo.receiver import Receiver, receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
IDS = ["msg-1", "msg-2"]
BODY = '{"type":"report.completed","timestamp":"2026-11-22T08:00:00Z","data":{"page":1}}'


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    async with receiver() as started:
        started.secret = SECRET
        yield started


def signed(message_id: str = "msg-1", *, secret: str = SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    at = datetime.now(UTC) - age
    signature = Webhook(secret).sign(message_id, at, BODY)
    return {"webhook-id": message_id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


async def post(hooks: Receiver, headers: dict[str, str], body: str = BODY) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(hooks.url, content=body, headers=headers)


async def test_what_is_signed_is_kept_once(hooks: Receiver) -> None:
    old = signed(secret=OTHER)["webhook-signature"]
    both = signed() | {"webhook-signature": f"{old} {signed()['webhook-signature']}"}
    waiting = asyncio.create_task(hooks.until(2))
    assert [(await post(hooks, headers)).status_code for headers in (both, signed(), signed("msg-2"))] == [200] * 3
    assert [message.id for message in await waiting] == IDS
    assert hooks.messages[0].body["data"] == {"page": 1}
    assert (hooks.repeated, hooks.refused) == (1, [])
    async with httpx.AsyncClient() as client:
        seen = (await client.get(hooks.url)).json()
    assert [(one["id"], one["type"]) for one in seen["messages"]] == [(key, "report.completed") for key in IDS]
    assert (seen["repeated"], seen["refused"]) == (1, [])
    assert SECRET not in repr(hooks)


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (dict, BODY, "not signed"),
        (lambda: signed() | {"webhook-timestamp": "yesterday"}, BODY, "not signed"),
        (lambda: signed() | {"webhook-id": "msg-9"}, BODY, "not that of the message"),
        (signed, BODY.replace("1}}", "2}}"), "not that of the message"),
        (lambda: signed(secret=OTHER), BODY, "not that of the message"),
        (lambda: signed(age=timedelta(minutes=6)), BODY, "away from now"),
    ],
)
async def test_what_is_not_proved_is_refused(
    hooks: Receiver, headers: Callable[[], dict[str, str]], body: str, why: str
) -> None:
    answer = await post(hooks, headers(), body)
    assert answer.status_code == 401
    assert why in answer.json()["error"]
    assert why in hooks.refused[0]
    assert hooks.messages == []


async def test_without_a_secret_nothing_is_proved(hooks: Receiver) -> None:
    hooks.secret = ""
    assert (await post(hooks, signed())).status_code == 401
