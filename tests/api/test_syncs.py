from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest_asyncio

from app.api.sync_events import follow
from tests.api.books import Books
from tests.conftest import Api

NOTHING = dict.fromkeys(
    ("read", "created", "updated", "unchanged", "deactivated", "reactivated", "filtered", "rejected", "held"), 0
)


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Books]:
    yield Books(api.runtime.database)


@pytest_asyncio.fixture
async def instance(books: Books) -> UUID:
    return await books.instance(f"Synced {uuid4()}")


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            event, data = block.split("\n")
            found.append((event.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))))
    return found


async def test_a_sync_shows_all_streams_and_counters_before_it_began(api: Api, books: Books, instance: UUID) -> None:
    sync = await books.sync(instance, status="queued")
    answer = await api.get(f"/v1/syncs/{sync}")
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["progress"] == {
        stream: {"fetched": 0, "expected": None, "done": False}
        for stream in ("users", "applications", "assignments", "activity")
    }
    assert shown["counters"] == dict.fromkeys(("people", "applications", "accounts", "activity"), NOTHING)
    assert (shown["failure"], shown["waiting"], shown["vendor_calls"]) == (None, None, 0)
    described = (await api.get("/openapi.json")).json()["components"]["schemas"]["SyncAnswer"]
    assert set(described["properties"]) == set(shown)
    assert (await api.get(f"/v1/syncs/{sync}", headers={"If-None-Match": answer.headers["ETag"]})).status_code == 304


async def test_a_failed_sync_says_why_in_all_members(api: Api, books: Books, instance: UUID) -> None:
    failure = {"code": "vendor_unavailable", "detail": "The vendor answered 503.", "retryable": True, "stream": "users"}
    sync = await books.sync(instance, status="failed", failure=failure)
    shown = (await api.get(f"/v1/syncs/{sync}")).json()["failure"]
    assert shown == {**failure, "request": None, "vendor_status": None, "vendor_code": None}


async def test_syncs_are_filtered(api: Api, books: Books, instance: UUID) -> None:
    first = await books.sync(instance, trigger="launch")
    second = await books.sync(instance, status="failed")
    third = await books.sync(instance, status="running")

    async def ids(query: str) -> list[str]:
        return [item["id"] for item in (await api.get(f"/v1/syncs?instance_id={instance}&{query}")).json()["items"]]

    assert await ids("") == [str(third), str(second), str(first)]
    assert await ids("sort=created_at") == [str(first), str(second), str(third)]
    assert await ids("status=failed") == [str(second)]
    assert await ids("trigger=launch") == [str(first)]
    assert (await api.get("/v1/syncs?status=done")).status_code == 422
    assert (await api.get(f"/v1/syncs?instance_id={instance}&count=true&limit=1")).json()["total"] == 3


async def test_changes_are_told_record_by_record(api: Api, books: Books, instance: UUID) -> None:
    sync = await books.sync(instance)
    for number in range(5):
        await books.change(sync, name=f"Person {number}", after={"name": f"Person {number}"})
    await books.change(
        sync, kind="accounts", action="deactivated", before={"status": "active"}, after={"status": "inactive"}
    )
    path = f"/v1/syncs/{sync}/changes"
    walked: list[dict[str, Any]] = []
    following: str | None = f"{path}?limit=4&count=true"
    while following:
        answer = await api.get(following)
        assert answer.json()["total"] == 6
        walked += answer.json()["items"]
        following = answer.links["next"]["url"] if "next" in answer.links else None
    assert [item["name"] for item in walked[1:]] == [f"Person {number}" for number in reversed(range(5))]
    assert set(walked[0]) == {"kind", "id", "name", "action", "before", "after"}
    assert (await api.get(f"{path}?kind=accounts")).json()["items"] == walked[:1]
    assert (await api.get(f"{path}?action=deactivated")).json()["items"] == walked[:1]
    assert (await api.get(f"{path}?kind=people&action=updated")).json()["items"] == []
    assert (await api.get(f"{path}?kind=robots")).status_code == 422


async def test_records_that_could_not_be_used_are_listed(api: Api, books: Books, instance: UUID) -> None:
    sync = await books.sync(instance)
    for number in range(3):
        await books.error(sync, f"u{number}")
    first = (await api.get(f"/v1/syncs/{sync}/errors?limit=2&count=true")).json()
    rest = (await api.get(f"/v1/syncs/{sync}/errors?limit=2&count=true&cursor={first['next_cursor']}")).json()
    assert [item["vendor_id"] for item in first["items"] + rest["items"]] == ["u2", "u1", "u0"]
    assert (first["total"], rest["next_cursor"]) == (3, None)
    assert first["items"][0] == {"stream": "users", "vendor_id": "u2", "code": "no_identity", "detail": "-"}


async def test_a_sync_can_be_cancelled_once(api: Api, books: Books, instance: UUID) -> None:
    sync = await books.sync(instance, status="running")
    viewer, operator = await api.as_role("viewer"), await api.as_role("operator")
    assert (await viewer.post(f"/v1/syncs/{sync}/cancel")).status_code == 403
    answer = await operator.post(f"/v1/syncs/{sync}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert (await api.get(f"/v1/syncs/{sync}")).json() == answer.json()
    assert (await operator.post(f"/v1/syncs/{sync}/cancel")).status_code == 409


async def test_a_finished_sync_answers_finished_at_once(api: Api, books: Books, instance: UUID) -> None:
    sync = await books.sync(instance, status="failed")
    answer = await api.get(f"/v1/syncs/{sync}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events_of(answer.text) == [("finished", (await api.get(f"/v1/syncs/{sync}")).json())]


async def test_progress_is_told_until_the_sync_is_finished(api: Api, books: Books, instance: UUID) -> None:
    sync = await books.sync(instance, status="running")
    listening = asyncio.create_task(api.get(f"/v1/syncs/{sync}/events"))
    await asyncio.sleep(0.2)
    await books.database.pool.execute("UPDATE syncs SET status = 'succeeded', vendor_calls = 3 WHERE id = $1", sync)
    events = events_of((await listening).text)
    assert [name for name, _ in events] == ["progress", "finished"]
    assert [data["vendor_calls"] for _, data in events] == [0, 3]


async def test_only_news_is_told_and_a_comment_keeps_a_quiet_stream_alive() -> None:
    states = [b'{"status":"running"}'] * 4 + [b'{"status":"running","n":1}', b'{"status":"cancelled"}']

    async def read() -> bytes | None:
        return states.pop(0)

    blocks = [block async for block in follow(read, lambda: False, poll_s=0.02, quiet_s=0.03)]
    kinds = [block.split(b"\n")[0] for block in blocks]
    assert [kind for kind in kinds if not kind.startswith(b":")] == [
        b"event: progress", b"event: progress", b"event: finished",
    ]  # fmt: skip
    assert any(kind.startswith(b":") for kind in kinds)


async def test_a_process_that_stops_ends_its_streams() -> None:
    async def read() -> bytes | None:
        return b'{"status":"running"}'

    stopping = iter([False, False, True])
    assert len([block async for block in follow(read, lambda: next(stopping), poll_s=0)]) == 1


async def test_what_does_not_exist_is_a_404(api: Api) -> None:
    path = f"/v1/syncs/{uuid4()}"
    for suffix in ("", "/errors", "/changes", "/events"):
        assert (await api.get(path + suffix)).status_code == 404
    assert (await api.post(f"{path}/cancel")).status_code == 404
