"""What became of each message can be looked at; endpoints are tested, and messages sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from standardwebhooks import Webhook as Verifier

from app.core.clock import now
from app.core.ids import new_id
from tests.api.problems import assert_problem
from tests.conftest import Api

PATH = "/v1/webhooks"
MEMBERS = {
    "id", "created_at", "updated_at", "webhook_id", "message_id", "event", "run_id", "page", "status", "attempts",
    "next_attempt_at", "workflow_execution_id", "delivered_at",
}  # fmt: skip


class Receiver:
    """A small HTTP server: keeps what it was sent, answers what it was told to."""

    def __init__(self) -> None:
        self.answer = (200, b"{}")
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((head[0].split()[1], headers, body))
        status, content = self.answer
        writer.write(f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()


async def make(api: Api, **members: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"name": "Ops", "url": "https://hooks.example.com/", **members})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def put(api: Api, webhook_id: str, **columns: Any) -> str:
    """A delivery in the state that a test needs."""
    row = {"id": new_id(), "webhook_id": UUID(webhook_id), "message_id": new_id(), "event": "sync.failed", **columns}
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await api.runtime.database.pool.execute(
        f"INSERT INTO deliveries ({', '.join(row)}) VALUES ({places})", *row.values()
    )
    return str(row["id"])


async def test_a_test_message_is_signed_and_its_answer_told(api: Api) -> None:
    async with _receiving() as receiver:
        made = await make(api, url=f"{receiver.url}/in", auth={"type": "bearer", "secret": "the-token"})
        operator = await api.as_role("operator")
        told = (await operator.post(f"{PATH}/{made['id']}/test")).json()
        assert told.pop("latency_ms") >= 0
        assert told == {
            "ok": True, "status_code": 200, "detail": "The endpoint took the message.", "answer_excerpt": "{}",
        }  # fmt: skip
        ((path, headers, body),) = receiver.requests
        assert (path, headers["authorization"]) == ("/in", "Bearer the-token")
        message = Verifier(made["signing_secret"]).verify(body, headers)
        assert message["type"] == "webhook.test"
        assert message["data"] == {"webhook_id": made["id"], "webhook": "Ops", "test": True}
        receiver.answer = (503, b"down for the-token")
        told = (await operator.post(f"{PATH}/{made['id']}/test")).json()
        assert (told["ok"], told["status_code"], told["answer_excerpt"]) == (False, 503, "down for ***")
        assert "503" in told["detail"]
    nobody = (await api.post(f"{PATH}/{made['id']}/test")).json()
    assert (nobody["ok"], nobody["status_code"]) == (False, None)
    assert (await api.get(f"{PATH}/{made['id']}/deliveries")).json()["items"] == []


async def test_a_workflow_is_tested_where_nothing_runs(api: Api) -> None:
    async with _receiving() as receiver:
        url = f"{receiver.url}/workflows/v1/execute/external/1"
        made = await make(api, url=url, format="sailpoint_workflow")
        assert (await api.post(f"{PATH}/{made['id']}/test")).json()["ok"]
        ((path, _, body),) = receiver.requests
        assert path == "/workflows/v1/execute/external/1/test"
        assert msgspec.json.decode(body)["input"]["type"] == "webhook.test"


async def test_only_who_may_try_and_only_what_exists(api: Api) -> None:
    made = await make(api)
    assert_problem(await (await api.as_role("viewer")).post(f"{PATH}/{made['id']}/test"), 403)
    assert_problem(await api.post(f"{PATH}/{new_id()}/test"), 404)
    assert_problem(await api.get(f"{PATH}/{new_id()}/deliveries"), 404)
    assert_problem(await api.get(f"/v1/deliveries/{new_id()}"), 404)
    for bad in ({"status": "lost"}, {"event": "sync.exploded"}, {"run_id": "x"}, {"stauts": "failed"}):
        assert_problem(await api.get(f"{PATH}/{made['id']}/deliveries", params=bad), 422)


async def test_deliveries_are_listed_newest_first_and_filtered(api: Api) -> None:
    made, other, run_id = await make(api), await make(api), new_id()
    tried = {"at": datetime(2026, 11, 3, tzinfo=UTC), "status_code": 503, "latency_ms": 8, "error": "no",
             "answer_excerpt": None}  # fmt: skip
    first = await put(api, made["id"], status="failed", attempts=[tried], next_attempt_at=None)
    second = await put(api, made["id"], event="report.completed", run_id=run_id, page=2, pages=3)
    await put(api, other["id"])
    path = f"{PATH}/{made['id']}/deliveries"
    viewer = await api.as_role("viewer")

    async def ids(**params: str) -> list[str]:
        return [each["id"] for each in (await viewer.get(path, params=params)).json()["items"]]

    assert await ids() == [second, first]
    assert await ids(status="failed") == [first]
    assert await ids(event="report.completed") == await ids(run_id=str(run_id)) == [second]
    assert await ids(status="succeeded") == []
    page = (await viewer.get(path, params={"limit": "1", "count": "true"})).json()
    assert (page["total"], await ids(limit="1", cursor=page["next_cursor"])) == (2, [first])
    one = (await viewer.get(f"/v1/deliveries/{first}")).json()
    assert one.keys() == MEMBERS
    assert one["attempts"] == [{**tried, "at": "2026-11-03T00:00:00Z"}]
    assert (one["status"], one["page"], one["next_attempt_at"], one["delivered_at"]) == ("failed", 1, None, None)


async def test_a_failed_delivery_is_sent_again(api: Api) -> None:
    made = await make(api)
    failed = await put(api, made["id"], status="failed", next_attempt_at=None)
    path = f"/v1/deliveries/{failed}/redeliver"
    before = (await api.get(f"/v1/deliveries/{failed}")).json()
    again = await (await api.as_role("operator")).post(path)
    assert again.status_code == 202, again.text
    body = again.json()
    assert body.keys() == MEMBERS
    assert (body["status"], body["message_id"]) == ("pending", before["message_id"])
    assert body["next_attempt_at"] is not None
    (noted,) = (await api.get("/v1/audit-events", params={"resource_id": str(failed)})).json()["items"]
    assert (noted["resource"]["id"], noted["before"], noted["after"]) == (
        str(failed),
        {"status": "failed"},
        {"status": "pending"},
    )
    await api.runtime.database.pool.execute(
        "UPDATE deliveries SET next_attempt_at = now() + interval '9 h' WHERE id = $1", failed
    )
    hastened = (await api.post(path)).json()
    assert hastened["next_attempt_at"] <= now().isoformat()
    await api.runtime.database.pool.execute("UPDATE deliveries SET next_attempt_at = NULL WHERE id = $1", failed)
    assert_problem(await api.post(path), 409)
    assert_problem(await (await api.as_role("viewer")).post(path), 403)
    assert_problem(await api.post(f"/v1/deliveries/{new_id()}/redeliver"), 404)
    await api.patch(f"{PATH}/{made['id']}", json={"status": "disabled"})
    assert_problem(await api.post(path), 409)


async def test_all_that_failed_since_a_time_is_sent_again(api: Api) -> None:
    made = await make(api)
    past = datetime(2026, 1, 1, tzinfo=UTC)
    old = await put(api, made["id"], status="failed", created_at=past, updated_at=past)
    await put(api, made["id"], status="failed", created_at=past)
    await put(api, made["id"], status="succeeded")
    path = f"{PATH}/{made['id']}/redeliver"
    done = await api.post(path, json={"since": "2026-02-01T00:00:00Z"})
    assert (done.status_code, done.json()) == (202, {"count": 1})
    assert (await api.get(f"/v1/deliveries/{old}")).json()["status"] == "failed"
    (noted,) = (
        await api.get("/v1/audit-events", params={"action": "webhook.updated", "resource_id": made["id"]})
    ).json()["items"]
    assert noted["after"] == {"redelivered_since": "2026-02-01T00:00:00Z", "redelivered": 1}
    assert (await api.post(path, json={"since": "2025-12-01T00:00:00Z"})).json() == {"count": 1}
    for bad in ({}, {"since": "yesterday"}, {"since": None}, {"until": "2026-02-01T00:00:00Z"}):
        assert_problem(await api.post(path, json=bad), 422)
    assert_problem(await api.post(f"{PATH}/{new_id()}/redeliver", json={"since": "2026-02-01T00:00:00Z"}), 404)
    assert_problem(await (await api.as_role("viewer")).post(path, json={"since": "2026-02-01T00:00:00Z"}), 403)
