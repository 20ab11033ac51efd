"""A process killed at each named point of a report, a delivery and a change of keys: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.access.resealing import SEALED
from app.core.ids import new_id
from app.events.publish import publish
from app.vault import Vault, generate_key
from tests.api.books import Books
from tests.conftest import Api
from tests.reports.answering import many_seats, of
from tests.survival.dying import Point
from tests.survival.lab import ALL, Lab, posted
from tests.webhooks.receiver import Message, Receiver, receiving

ROWS = 2500
ANSWERING = [
    Point("app.reports.run:take", "after"),
    Point("app.reports.run:publish", "after"),
    Point("app.reports.run:_answer", "after"),
]
DELIVERING = [
    Point("app.scheduler.messages:fan_out", "after"),
    Point("app.webhooks.delivering:load_events", "after"),
    Point("app.webhooks.sending:attempt", "after", 3),
    Point("app.webhooks.delivering:settle", "after", 2),
]
ROTATING = [
    Point("app.access.resealing:_write", "after", 1),
    Point("app.access.resealing:_write", "before", 3),
]
if ALL:
    ANSWERING += [
        Point("app.reports.run:claim_run", "after"),
        Point("app.reports.run:_succeed", "after"),
        Point("app.reports.run:send_outputs", "after"),
    ]
    DELIVERING += [
        Point("app.webhooks.sending:attempt", "before", 3),
        Point("app.webhooks.delivering:_Post._write_down", "after", 3),
        *(Point("app.webhooks.sending:attempt", "after", nth) for nth in range(4, 15)),
    ]
    ROTATING += [Point("app.access.resealing:_read", "after", 1)]


async def _webhook(api: Api, receiver: Receiver, *events: str, **settings: object) -> str:
    body = {
        "name": "Hook", "url": f"{receiver.url}/", "events": events, "auth": {"type": "none"},
        "max_message_bytes": 65536, **settings,
    }  # fmt: skip
    return str((await posted(api, "/v1/webhooks", body))["id"])


def _to_a_path_of_its_own(lab: Lab) -> Callable[[str], Awaitable[object]]:
    """So that the receiver can tell the copies apart."""

    async def prepare(name: str) -> None:
        async with lab.connection(name) as connection:
            await connection.execute("UPDATE webhooks SET url = url || $1", name)

    return prepare


def _by_copy(receiver: Receiver) -> dict[str, list[Message]]:
    told: dict[str, list[Message]] = {}
    for message in receiver.accepted:
        told.setdefault(message.path, []).append(message)
    return told


def _whole_and_in_order(messages: list[Message], member: str = "rows") -> list[dict[str, object]]:
    """The pages of one series, each with one id and one body however often it came, none before the one ahead."""
    assert len({(message.id, message.body) for message in messages}) == len({message.id for message in messages})
    pages = {message.json["data"]["page"]: message.json["data"] for message in messages}
    first_seen = list(dict.fromkeys(message.json["data"]["page"] for message in messages))
    assert first_seen == list(range(1, len(pages) + 1))
    return [row for page in first_seen for row in pages[page][member]]


@pytest.mark.timeout(300)
async def test_a_report_killed_at_any_point_is_answered_and_handed_out_once(lab: Lab) -> None:
    async with receiving() as receiver, lab.copy() as base:
        async with lab.api(base) as api:
            outputs = [
                {"type": "webhook", "webhook_id": await _webhook(api, receiver)},
                {"type": "email", "to": ["ada@example.com"]},
            ]
            report = {
                "name": "Seats", "dataset": "accounts", "columns": ["name", "email"], "outputs": outputs,
                "filters": of(await many_seats(Books(api.runtime.database), ROWS)),
            }  # fmt: skip
            made = await posted(api, "/v1/reports", report)
            await posted(api, f"/v1/reports/{made['id']}/runs")
        await lab.as_if_nothing_had_been(base, ANSWERING, _to_a_path_of_its_own(lab))
    copies = _by_copy(receiver)
    assert len(copies) > len(ANSWERING)
    rows = [_whole_and_in_order(messages) for messages in copies.values()]
    assert all(len(each) == ROWS and each == rows[0] for each in rows)


@pytest.mark.timeout(300)
async def test_messages_of_a_process_killed_while_it_delivers_all_arrive_under_one_id(lab: Lab) -> None:
    people = [{"name": f"Zoë {number}"} for number in range(150)]
    async with receiving() as receiver, lab.copy() as base:
        async with lab.api(base) as api:
            await _webhook(api, receiver, "sync.failed", "person.created", max_message_bytes=1024)
            page = {"sync_id": new_id(), "page": 1, "pages": 1, "total": len(people), "people": people}
            async with api.runtime.database.transaction() as connection:
                for number in range(12):
                    await publish(connection, "sync.failed", {"reason": str(number)})
                await publish(connection, "person.created", page)
        await lab.as_if_nothing_had_been(base, DELIVERING, _to_a_path_of_its_own(lab))
    copies = _by_copy(receiver)
    assert len(copies) > len(DELIVERING)
    for messages in copies.values():
        assert len({(message.id, message.body) for message in messages}) == len({message.id for message in messages})
        single = {message.json["data"]["reason"] for message in messages if "reason" in message.json["data"]}
        assert single == {str(number) for number in range(12)}
        in_pages = [message for message in messages if "people" in message.json["data"]]
        assert len({message.id for message in in_pages}) > 2
        assert _whole_and_in_order(in_pages, "people") == people


@pytest.mark.timeout(300)
async def test_a_change_of_keys_killed_at_any_point_is_finished_by_the_next(lab: Lab) -> None:
    new = generate_key()
    ring = {"SEATWISE_ENCRYPTION_KEYS": f"{new},{lab.keys}"}
    async with lab.copy() as base:
        async with lab.api(base) as api:
            for number in range(12):
                body = {
                    "name": f"Okta {number}", "connector": "okta", "scheme": "api_token",
                    "secrets": {"api_token": f"canary-{number}"},
                }  # fmt: skip
                await posted(api, "/v1/credentials", body)
        for point in ROTATING:
            async with lab.copy(base) as name:
                assert await lab.disturbed(name, point, task="rotate", **ring)
                opened = await _opened(lab, name, Vault.from_keys(new))
                assert {text for text in opened if "canary" in text} == {
                    f'{{"api_token":"canary-{number}"}}' for number in range(12)
                }


async def _opened(lab: Lab, name: str, vault: Vault) -> list[str]:
    """Every sealed text of a database, opened with these keys alone."""
    texts = []
    async with lab.connection(name) as connection:
        for column in SEALED:
            key = ", ".join(column.key)
            rows = await connection.fetch(f"SELECT {key}, {column.column} AS sealed FROM {column.table}")
            texts += [vault.open(row["sealed"], context=column.context_of(row)).decode("latin-1") for row in rows]
    return texts
