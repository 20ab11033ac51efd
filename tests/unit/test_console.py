"""What a terminal shows of the API: errors, event streams, progress, and the command that syncs an instance."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.console import sync as sync_command
from app.console.client import ApiClient
from app.console.problems import ApiProblem, ServiceUnreachable
from app.console.progress import LineBoard, LiveBoard
from app.console.sse import ServerEvent, read_events
from app.console.states import Failure, Sync, read_sync
from app.console.sync import find_instance, show_end, start_sync, watch_all
from app.console.words import failure_words
from app.core.errors import SeatwiseError

SYNC = "0199f5a1-0000-7000-8000-000000000001"
INSTANCE = "0199f5a1-0000-7000-8000-00000000000a"
NAMES = {SYNC: "Okta"}
Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer, **options: Any) -> ApiClient:
    return ApiClient("http://seatwise.test", "sw_key", transport=httpx.MockTransport(answer), **options)


def problem(status: int, title: str, detail: str, **members: Any) -> httpx.Response:
    body = {"type": "urn:x", "title": title, "status": status, "detail": detail, "request_id": "r-1", **members}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


def sync(status: str = "running", **members: Any) -> dict[str, Any]:
    return {"id": SYNC, "instance_id": INSTANCE, "status": status, **members}


def event(name: str, document: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(document)}\n\n".encode()


def plain() -> Console:
    return Console(file=io.StringIO(), width=100)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def events_of(*chunks: bytes) -> list[ServerEvent]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [event async for event in read_events(stream())]


# Errors


async def test_a_refusal_names_each_bad_field() -> None:
    errors = [{"pointer": "#/options/region", "detail": "Type eu."}, {"parameter": "limit", "detail": "At most 200."}]

    async with client(lambda _: problem(422, "Unprocessable Content", "Two fields.", errors=errors)) as api:
        with pytest.raises(ApiProblem) as caught:
            await api.get("/v1/instances")

    assert caught.value.detail.splitlines() == [
        "Unprocessable Content (422): Two fields.",
        "  options/region: Type eu.",
        "  limit: At most 200.",
    ]


async def test_a_refused_key_says_what_to_give_and_is_not_repeated() -> None:
    async with client(lambda _: problem(401, "Unauthorized", "No such key.")) as api:
        with pytest.raises(ApiProblem, match="--key") as caught:
            await api.get("/v1/instances")
    assert "sw_key" not in str(caught.value)


async def test_a_fault_of_the_service_comes_with_the_id_to_look_for() -> None:
    async with client(lambda _: problem(500, "Internal Server Error", "Something went wrong.")) as api:
        with pytest.raises(ApiProblem, match="r-1"):
            await api.get("/v1/instances")


@pytest.mark.parametrize("status", [200, 301, 502])
async def test_a_page_of_something_else_asks_for_the_url(status: int) -> None:
    async with client(lambda _: httpx.Response(status, text="<h1>Router</h1>")) as api:
        with pytest.raises(ServiceUnreachable, match="right URL"):
            await api.get("/v1/instances")


async def test_nobody_there_is_told_with_the_url() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    async with client(refuse) as api:
        with pytest.raises(ServiceUnreachable, match=r"http://seatwise\.test.* does not answer: connection refused"):
            await api.get("/v1/instances")


@pytest.mark.parametrize("server", ["", "localhost:8000", "ftp://host", "http://", "http://[::1"])
def test_what_is_no_url_is_refused_with_an_example(server: str) -> None:
    with pytest.raises(ServiceUnreachable, match=r"http://127\.0\.0\.1:8000"):
        ApiClient(server, "sw_key")


@pytest.mark.parametrize("key", ["", "  ", "sw_ü", "sw_\n1"])
def test_a_key_that_cannot_be_sent_is_asked_for(key: str) -> None:
    with pytest.raises(ServiceUnreachable, match="--key"):
        ApiClient("http://seatwise.test", key)


# Lists


async def test_all_pages_of_a_list_are_read() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        last = "cursor" in request.url.params
        return httpx.Response(200, json={"items": [{"n": len(asked)}], "next_cursor": None if last else "c"})

    async with client(answer) as api:
        assert [item["n"] async for item in api.items("/v1/people", q="a")] == [1, 2]
    assert asked == [{"limit": "200", "q": "a"}, {"limit": "200", "q": "a", "cursor": "c"}]


# Events


async def test_events_are_read_however_their_bytes_are_cut() -> None:
    whole = (
        b': hello\r\n\r\nevent: progress\ndata: {"a":\ndata: "\xc3\xa4"}\nid: 7\n\nevent: finished\r\ndata:x\r\n\r\n'
    )
    wanted = [ServerEvent("progress", '{"a":\n"ä"}'), ServerEvent("finished", "x")]
    assert await events_of(whole) == wanted
    assert await events_of(*(whole[i : i + 1] for i in range(len(whole)))) == wanted


async def test_an_event_that_was_cut_off_is_no_event() -> None:
    assert await events_of(b"event: progress\ndata: {", b'"id": 1}\n') == []


async def test_a_broken_stream_is_asked_for_again_until_the_sync_is_finished() -> None:
    answers: Iterator[httpx.Response] = iter(
        [
            httpx.Response(200, content=event("progress", sync("queued")) + b"event: progress\ndata: {"),
            problem(503, "Service Unavailable", "Stopping."),
            httpx.Response(200, content=event("progress", sync())),
            httpx.Response(200, content=event("finished", sync("succeeded")) + event("progress", sync())),
        ]
    )

    async with client(lambda _: next(answers)) as api:
        states = [state.status async for state in api.watch(SYNC)]

    assert states == ["queued", "running", "succeeded"]


async def test_a_stream_that_stays_broken_is_given_up_with_the_cause() -> None:
    def lose(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("connection lost")

    async with client(lose, retry_for_s=0.05) as api:
        with pytest.raises(ServiceUnreachable, match=r"it goes on by itself.*connection lost"):
            async for _ in api.watch(SYNC):
                pass


async def test_a_sync_that_is_not_there_is_not_asked_for_again() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return problem(404, "Not Found", "There is no sync with this id.")

    async with client(answer) as api:
        with pytest.raises(ApiProblem, match="no sync with this id"):
            await watch_all(api, NAMES, plain())
    assert asked == [f"/v1/syncs/{SYNC}/events"]


# Progress


def states() -> list[Sync]:
    users = {"fetched": 400, "expected": 1000, "done": False}
    read = {"fetched": 1000, "expected": 1000, "done": True}
    events = {"fetched": 12000, "expected": None, "done": False}
    idle = {"fetched": 0, "expected": None, "done": True}
    told = {"reason": "told", "seconds": 3.0}
    documents = [
        sync("queued"),
        sync(progress={"users": users}),
        sync(progress={"users": {**users, "fetched": 600}}),
        sync(progress={"users": read, "activity": events}, waiting=told, vendor_calls=9),
        sync(progress={"users": read, "activity": events}, waiting=told, vendor_calls=9, throttled_seconds=3.04),
        sync(progress={"users": read, "activity": events}, waiting={"reason": "budget", "seconds": 1}),
        sync(
            "succeeded",
            progress={"users": read, "applications": idle, "activity": {**events, "done": True}},
            vendor_calls=1234,
            throttled_seconds=3.04,
            started_at="2026-11-03T10:00:00Z",
            finished_at="2026-11-03T10:00:07.500Z",
        ),
    ]
    return [read_sync(document) for document in documents]


def test_without_a_terminal_only_changes_of_state_are_told() -> None:
    console, ticks = plain(), iter(range(0, 100, 2))

    with LineBoard(console, NAMES, clock=lambda: next(ticks)) as board:
        for state in states():
            board.show(state)

    assert text_of(console).splitlines() == [
        "Okta: running",
        "Okta: users: 1,000 read",
        "Okta: waiting 3 s: the vendor said so",
        "Okta: sign-ons: 12,000 read",
        "Okta: succeeded after 7.5 s (1,234 vendor calls, held back 3.0 s)",
    ]


def test_a_wait_much_later_is_told_again() -> None:
    console, ticks = plain(), iter([0, 60])
    waiting = read_sync(sync(waiting={"reason": "told", "seconds": 20}))
    board = LineBoard(console, NAMES, clock=lambda: next(ticks))
    board.show(waiting)
    board.show(waiting)
    assert text_of(console).count("waiting 20 s: the vendor said so") == 2


def test_a_terminal_shows_each_stream_and_what_is_waited_for() -> None:
    console = plain()
    board = LiveBoard(console, {**NAMES, "other": "PingOne [x]"}, clock=lambda: 0)
    board.show(states()[3])

    console.print(board.render())

    shown = text_of(console).splitlines()
    assert shown[0].split("  ") == ["Okta", "running 0 s, 9 vendor calls", "waiting 3 s: the vendor said so"]
    assert shown[1].split() == ["users", "━" * 28, "1,000"]
    assert shown[2].split()[0] == "sign-ons"
    assert shown[2].split()[-1] == "12,000"
    assert shown[3] == "PingOne [x]  queued"


def test_a_stream_says_how_many_are_to_come() -> None:
    console = plain()
    board = LiveBoard(console, NAMES)
    board.show(states()[1])
    console.print(board.render())
    assert "400 of 1,000" in text_of(console)


# The command


def test_a_failure_says_where_why_and_what_next() -> None:
    failure = Failure("vendor_unavailable", "It broke.", True, "activity", "GET /api/v1/logs", 502, "E0000009")
    assert failure_words(failure) == (
        "While reading sign-ons: It broke. [GET /api/v1/logs, answered 502, code E0000009] "
        "It may pass: sync again later."
    )
    assert failure_words(Failure("internal", "Our fault.")) == "Our fault. It will not pass by itself."


async def test_an_instance_is_found_by_its_exact_name() -> None:
    items = [{"id": "1", "name": "Okta staging"}, {"id": "2", "name": "Okta"}]

    async with client(lambda _: httpx.Response(200, json={"items": items, "next_cursor": None})) as api:
        assert (await find_instance(api, "Okta"))["id"] == "2"
        with pytest.raises(SeatwiseError, match=r"named 'okta'. There are: Okta, Okta staging\."):
            await find_instance(api, "okta")


async def test_an_instance_is_found_by_its_id() -> None:
    async with client(lambda request: httpx.Response(200, json={"id": INSTANCE, "name": request.url.path})) as api:
        assert (await find_instance(api, INSTANCE))["name"] == f"/v1/instances/{INSTANCE}"


async def test_a_sync_that_runs_already_is_the_one_to_watch() -> None:
    console = plain()
    async with client(lambda _: problem(409, "Conflict", "It runs.", sync_id=SYNC)) as api:
        assert await start_sync(api, INSTANCE, console) == SYNC
    assert "running already" in text_of(console)


async def test_an_instance_that_may_not_sync_is_a_refusal() -> None:
    async with client(lambda _: problem(409, "Conflict", "It is a draft; launch it.")) as api:
        with pytest.raises(ApiProblem, match="launch it"):
            await start_sync(api, INSTANCE, plain())


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_the_exit_status_is_the_syncs_own(
    status: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = {"code": "vendor_busy", "detail": "It is busy.", "retryable": True} if status == "failed" else None
    counters = {"people": {"read": 1200, "created": 7, "held": 0}, "activity": {"read": 0, "created": 0, "held": 0}}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            return httpx.Response(200, content=event("finished", sync(status, failure=failure, counters=counters)))
        if request.method == "POST":
            return httpx.Response(202, json=sync("queued"))
        return httpx.Response(200, json={"items": [{"id": INSTANCE, "name": "Okta"}], "next_cursor": None})

    monkeypatch.setattr(sync_command, "ApiClient", lambda *_: client(answer))
    assert sync_command.main("Okta", "http://seatwise.test", "sw_key") == code

    shown = capsys.readouterr().out
    assert f"Okta: {status}" in shown
    assert "1,200" in shown
    assert "Held" not in shown
    assert ("It is busy. It may pass" in shown) == (status == "failed")


def test_a_server_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert sync_command.main("Okta", "http://127.0.0.1:9", "sw_key") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("seatwise: http://127.0.0.1:9")
    assert len(told.err.splitlines()) == 1


def test_nothing_read_shows_no_table() -> None:
    console = plain()
    show_end(console, read_sync(sync("cancelled", counters={"people": {"read": 0}})))
    assert text_of(console) == ""
