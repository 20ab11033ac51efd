"""Reports in pages and events in parts: whole, in order, within the size, under the cap, and sent again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.access.links import RunLinks
from app.core.clock import now
from app.core.errors import Conflict, NotFound
from app.core.ids import new_id
from app.events.numbering import number_events
from app.events.publish import publish
from app.webhooks.fan_out import fan_out
from app.webhooks.redelivery import redeliver, redeliver_since
from app.webhooks.runs import deliver_run
from tests.webhooks.conftest import Outbox
from tests.webhooks.receiver import Message, Reply

COLUMNS = ["name", "email"]


def row(number: int, width: int = 1) -> str:
    return json.dumps({"name": f"Zoë {number}" * width, "email": f"zoe.{number}@example.com"}, ensure_ascii=False)


async def a_run(outbox: Outbox, rows: list[str], *, chunk: int = 40) -> UUID:
    """A finished run with these rows, told to nobody yet."""
    report_id, run_id = new_id(), new_id()
    async with outbox.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO reports (id, name, dataset, columns, \"window\") VALUES ($1, $2, 'people', $3, $4)",
            report_id,
            f"Seats {report_id}",
            COLUMNS,
            "30d",
        )
        await connection.execute(
            'INSERT INTO report_runs (id, report_id, status, trigger, definition, "window", columns, total_rows,'
            " finished_at) VALUES ($1, $2, 'succeeded', 'manual', $3, $4, $5, $6, now())",
            run_id,
            report_id,
            {"name": "Seats"},
            {"from": "2026-10-24", "to": "2026-11-22"},
            COLUMNS,
            len(rows),
        )
        for number, first in enumerate(range(0, len(rows), chunk)):
            part = rows[first : first + chunk]
            await connection.execute(
                "INSERT INTO report_chunks (run_id, number, first_row, rows, ndjson, csv, subjects)"
                " VALUES ($1, $2, $3, $4, $5, '', '{}')",
                run_id,
                number,
                first,
                len(part),
                "".join(f"{line}\n" for line in part),
            )
    return run_id


async def deliver(outbox: Outbox, run_id: UUID, *webhooks: UUID) -> dict[UUID, str]:
    """As a run does that has just succeeded."""
    async with outbox.database.transaction() as connection:
        refused = await deliver_run(connection, run_id, webhooks)
        await publish(connection, "report.completed", {"run_id": run_id, "url": "https://…"})
    await number_events(outbox.database, fan_out)
    return refused


@pytest.mark.parametrize("format_", ["standard", "sailpoint_workflow"])
async def test_a_report_goes_in_pages_in_order(outbox: Outbox, post: Any, format_: str) -> None:
    outbox.receiver.behave = lambda _: Reply(200, b'{"workflowExecutionId": "1"}')
    webhook_id = await outbox.webhook(events=["report.completed"], max_message_bytes=2048, format=format_)
    rows = [row(number) for number in range(200)]
    run_id = await a_run(outbox, rows)
    assert await deliver(outbox, run_id, webhook_id) == {}
    async with post():
        deliveries = await outbox.settled()
    messages = outbox.receiver.accepted
    assert all(len(message.body) <= 2048 for message in messages)
    assert len(messages) == len(deliveries) > 5, "one that is both output and subscriber gets the pages only"
    inputs = [m.json["input"] if format_ == "sailpoint_workflow" else m.json["data"] for m in messages]
    assert [data["page"] for data in inputs] == list(range(1, len(messages) + 1))
    assert [json.dumps(one, ensure_ascii=False) for data in inputs for one in data["rows"]] == rows
    first = {name: inputs[0][name] for name in ("report", "run_id", "window", "columns", "pages", "total_rows")}
    assert first == {
        "report": "Seats",
        "run_id": str(run_id),
        "window": {"from": "2026-10-24", "to": "2026-11-22"},
        "columns": COLUMNS,
        "pages": len(messages),
        "total_rows": 200,
    }
    assert all(len(body) > 1900 for body in [message.body for message in messages[:-1]]), "pages are filled"
    assert len({message.id for message in messages}) == len(messages)


async def test_an_empty_report_is_one_page(outbox: Outbox, post: Any) -> None:
    webhook_id = await outbox.webhook(events=[])
    await deliver(outbox, await a_run(outbox, []), webhook_id)
    async with post():
        (message,) = await outbox.receiver.until(1)
    data = message.json["data"]
    assert (data["page"], data["pages"], data["total_rows"], data["rows"]) == (1, 1, 0, [])


async def test_a_link_takes_the_place_of_rows(outbox: Outbox, post: Any) -> None:
    chosen = await outbox.webhook("/chosen", events=[], delivery="link", link_ttl_seconds=600)
    forced = await outbox.webhook("/forced", events=[], max_message_bytes=1024)
    run_id = await a_run(outbox, [row(1), row(2, width=200)])
    assert await deliver(outbox, run_id, chosen, forced) == {}
    async with post():
        for message in await outbox.receiver.until(2):
            data = message.json["data"]
            assert "rows" not in data
            assert (data["format"], data["total_rows"]) == ("ndjson", 2)
            query = httpx.URL(data["url"]).params
            links = RunLinks(outbox.database, outbox.runtime.vault)
            assert await links.is_good(run_id, "ndjson", query["expires"], query["signature"])
            assert len(message.body) <= 1024


async def test_what_cannot_be_delivered_is_said(outbox: Outbox) -> None:
    gone, disabled = new_id(), await outbox.webhook("/disabled")
    tiny = await outbox.webhook("/tiny", max_message_bytes=300)
    fine = await outbox.webhook("/fine")
    await outbox.database.pool.execute("UPDATE webhooks SET status = 'disabled' WHERE id = $1", disabled)
    refused = await deliver(outbox, await a_run(outbox, [row(1)]), gone, disabled, tiny, fine)
    assert refused[gone] == "There is no such webhook any more."
    assert refused[disabled] == "The webhook /disabled is disabled. Enable it, then send its failed messages again."
    assert refused[tiny].startswith("The webhook /tiny takes at most 300 bytes.")
    made = {delivery["webhook_id"]: delivery["status"] for delivery in await outbox.deliveries()}
    assert made == {fine: "pending", disabled: "failed"}


async def test_subscribers_that_are_no_output_are_told_without_rows(outbox: Outbox, post: Any) -> None:
    output = await outbox.webhook("/output", events=["report.completed"])
    await outbox.webhook("/subscriber", events=["report.completed"])
    await deliver(outbox, await a_run(outbox, [row(1)]), output)
    async with post():
        messages = {message.path: message.json["data"] for message in await outbox.receiver.until(2)}
    assert "rows" in messages["/output"]
    assert "rows" not in messages["/subscriber"]
    assert messages["/subscriber"]["url"] == "https://…"


async def test_a_page_that_fails_keeps_those_behind_it_and_takes_them_along(outbox: Outbox, post: Any) -> None:
    broken = {"page": 3}

    def behave(message: Message) -> Reply:
        return Reply(500 if message.json["data"]["page"] == broken["page"] else 200)

    outbox.receiver.behave = behave
    webhook_id = await outbox.webhook(events=[], max_message_bytes=1024)
    await deliver(outbox, await a_run(outbox, [row(n) for n in range(60)]), webhook_id)
    async with post():
        deliveries = await outbox.settled()
        count = len(deliveries)
        assert [delivery["status"] for delivery in deliveries] == ["succeeded"] * 2 + ["failed"] * (count - 2)
        assert {message.json["data"]["page"] for message in outbox.receiver.messages} == {1, 2, 3}
        assert deliveries[3]["attempts"][-1]["error"] == "Not sent, because page 3 before it failed for good."
        broken["page"] = 0
        async with outbox.database.session() as session:
            again = await redeliver(session, deliveries[-1]["id"])
            assert again.status == "pending"
        with pytest.raises(Conflict):
            async with outbox.database.session() as session:
                await redeliver(session, deliveries[-1]["id"])
        after = await outbox.settled()
    assert [delivery["status"] for delivery in after] == ["succeeded"] * count
    assert [m.json["data"]["page"] for m in outbox.receiver.accepted] == list(range(1, count + 1))
    third = [message for message in outbox.receiver.messages if message.json["data"]["page"] == 3]
    assert len({message.id for message in third}) == len({message.body for message in third}) == 1


async def test_all_that_failed_since_a_time_is_sent_again(outbox: Outbox, post: Any) -> None:
    outbox.receiver.behave = lambda _: Reply(500)
    webhook_id = await outbox.webhook(max_message_bytes=1024)
    await outbox.tell({"reason": "old"})
    async with post():
        await outbox.settled()
        await outbox.database.pool.execute("UPDATE deliveries SET updated_at = now() - interval '1 hour'")
        await outbox.database.pool.execute("UPDATE deliveries SET created_at = now() - interval '2 hours'")
        await outbox.tell({"reason": "1"}, {"reason": "2"})
        await deliver(outbox, await a_run(outbox, [row(n) for n in range(20)]), webhook_id)
        pages = len(await outbox.settled()) - 3
        outbox.receiver.behave = lambda _: Reply()
        async with outbox.database.session() as session:
            assert await redeliver_since(session, webhook_id, now() - timedelta(minutes=30)) == 2 + pages
        deliveries = await outbox.settled()
    assert [delivery["status"] for delivery in deliveries].count("failed") == 1
    sent = [m.json["data"]["page"] for m in outbox.receiver.accepted if "page" in m.json["data"]]
    assert sent == list(range(1, pages + 1))
    await outbox.database.pool.execute("UPDATE webhooks SET status = 'disabled'")
    async with outbox.database.session() as session:
        with pytest.raises(Conflict):
            await redeliver_since(session, webhook_id, now())
        with pytest.raises(NotFound):
            await redeliver(session, new_id())


async def test_runs_do_not_wait_for_each_other(outbox: Outbox, post: Any) -> None:
    first_run: list[str] = []

    def behave(message: Message) -> Reply:
        return Reply(500 if message.json["data"]["run_id"] in first_run else 200)

    outbox.receiver.behave = behave
    webhook_id = await outbox.webhook(events=[], max_message_bytes=1024)
    rows = [row(n) for n in range(30)]
    stuck = await a_run(outbox, rows)
    first_run.append(str(stuck))
    await deliver(outbox, stuck, webhook_id)
    other = await a_run(outbox, rows)
    await deliver(outbox, other, webhook_id)
    async with post():
        deliveries = await outbox.settled()
    assert {delivery["status"] for delivery in deliveries if delivery["run_id"] == other} == {"succeeded"}
    assert {delivery["status"] for delivery in deliveries if delivery["run_id"] == stuck} == {"failed"}


async def test_the_cap_holds(outbox: Outbox, post: Any) -> None:
    outbox.receiver.delay_s = 0.02
    await outbox.webhook(max_concurrency=3)
    await outbox.tell(*({"reason": str(n)} for n in range(40)))
    async with post(), post():
        await outbox.settled()
    assert outbox.receiver.most_under_way == 3
    assert len(outbox.receiver.accepted) == 40


async def test_pages_that_a_sync_tells_go_in_their_order(outbox: Outbox, post: Any) -> None:
    people = [{"name": f"Zoë {n}", "email": f"zoe.{n}@example.com"} for n in range(90)]
    pages = [people[:30], people[30:60], people[60:]]
    sync_id = new_id()
    outbox.receiver.delay_s = 0.01
    small = await outbox.webhook("/small", events=["person.created"], max_message_bytes=1024)
    await outbox.webhook("/large", events=["person.created"])
    told = [
        {"sync_id": sync_id, "page": n, "pages": 3, "total": 90, "people": page}
        for n, page in enumerate(pages, start=1)
    ]
    async with post():
        await outbox.tell(*told, type_="person.created")
        deliveries = await outbox.settled()
    by_path: dict[str, list[dict[str, Any]]] = {"/small": [], "/large": []}
    for message in outbox.receiver.accepted:
        by_path[message.path].append(message.json["data"])
        assert message.path == "/large" or len(message.body) <= 1024
    for got in by_path.values():
        assert [person for data in got for person in data["people"]] == people
        assert [data["page"] for data in got] == list(range(1, len(got) + 1))
        assert {(data["pages"], data["total"]) for data in got} == {(len(got), 90)}
    assert len(by_path["/large"]) == 3
    ours = [delivery for delivery in deliveries if delivery["webhook_id"] == small]
    assert len({delivery["message_id"] for delivery in ours}) == len(ours) == len(by_path["/small"])
    assert [delivery["page"] for delivery in ours] == list(range(1, len(ours) + 1))


async def test_a_large_event_without_a_list_goes_whole(outbox: Outbox, post: Any) -> None:
    await outbox.webhook(max_message_bytes=1024)
    await outbox.tell({"reason": "long " * 500})
    async with post():
        (message,) = await outbox.receiver.until(1)
    assert message.json["data"]["reason"] == "long " * 500


async def test_messages_of_what_is_forgotten_fail_and_say_so(outbox: Outbox, post: Any) -> None:
    webhook_id = await outbox.webhook()
    await outbox.tell()
    await deliver(outbox, run_id := await a_run(outbox, [row(1)]), webhook_id)
    await outbox.database.pool.execute("DELETE FROM events")
    await outbox.database.pool.execute("DELETE FROM report_chunks WHERE run_id = $1", run_id)
    async with post():
        deliveries = await outbox.settled()
    assert {delivery["attempts"][0]["error"] for delivery in deliveries} == {
        "Its event is no longer kept.",
        "The rows of its report run are no longer kept.",
    }
