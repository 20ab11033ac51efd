from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from app.core.errors import (
    CredentialRefused,
    CursorRefused,
    InsufficientPermissions,
    InvalidOptions,
    OutboundRefused,
    UnexpectedAnswer,
    VendorBusy,
    VendorError,
    VendorUnavailable,
)
from app.http.auth import Auth, ClientCredentials, MemoryTokenStore, StaticToken
from app.http.budget import MemoryBudget
from app.http.client import build_client
from app.http.ports import Quota
from app.http.vendor import Event, Retrying, TokenRenewed, VendorClient, VendorFault, Waiting
from tests.unit.http.http_servers import LOOPBACK, FakeTime, ok, says, serving

API = "https://api.example/v1/users"
TOKEN_URL = "https://auth.example/as/token"
HTML = httpx.Response(200, html="<html>Sign in to the Wi-Fi</html>")
OAUTH = ClientCredentials(TOKEN_URL, "me", "the-client-secret")
STATIC = StaticToken("SSWS", "the-static-token")
KINDS: dict[str, type[VendorError]] = {"E0000015": InsufficientPermissions, "E0000029": CursorRefused}

Reply = httpx.Response | Exception


def read_error(status: int, headers: httpx.Headers, body: bytes) -> VendorFault:
    try:
        fields = json.loads(body)
        code = fields.get("errorCode")
    except (ValueError, AttributeError):
        return VendorFault()
    return VendorFault(code, fields.get("errorSummary"), KINDS.get(code or ""))


class Vendor:
    """Plays replies in turn (the last for ever) and remembers what it was asked. Tokens are t1, t2, …"""

    def __init__(self, *replies: Reply, tokens: Iterable[Reply] = (), life: float | None = 3600) -> None:
        self.replies, self.token_replies, self.life = list(replies), list(tokens), life
        self.requests: list[httpx.Request] = []
        self.issued = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        queue = self.token_replies if str(request.url) == TOKEN_URL else self.replies
        if queue is self.token_replies and not queue:
            self.issued += 1
            return httpx.Response(200, json={"access_token": f"t{self.issued}", "expires_in": self.life})
        reply = queue.pop(0) if len(queue) > 1 or queue is self.token_replies else queue[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    @property
    def sent_tokens(self) -> list[str]:
        return [r.headers["Authorization"] for r in self.requests if str(r.url) != TOKEN_URL]


class Desk:
    """A client in front of a vendor, with time that only passes by sleeping."""

    def __init__(
        self,
        vendor: Callable[[httpx.Request], httpx.Response],
        auth: Auth = STATIC,
        *,
        quota: Quota | None = Quota(10_000, 1),  # noqa: B008 - immutable
        retry_for_s: float = 60,
    ) -> None:
        self.time, self.events = FakeTime(), list[Event]()
        self.store = MemoryTokenStore()
        self.client = VendorClient(
            httpx.AsyncClient(transport=httpx.MockTransport(vendor)),
            auth,
            self.store,
            MemoryBudget(0, now=self.time.epoch),
            errors=read_error,
            quotas={} if quota is None else {"users": quota, "token": quota},
            retry_for_s=retry_for_s,
            on_event=self.events.append,
            sleep=self.time.sleep,
            now=self.time.now,
        )

    async def get(self, url: str = API, **more: Any) -> bytes:
        return (await self.client.get(url, bucket="users", **more)).content

    async def fails(self, kind: type[VendorError]) -> VendorError:
        with pytest.raises(kind) as failed:
            await self.get()
        assert type(failed.value) is kind
        return failed.value


def page(body: Any = (), **headers: str) -> httpx.Response:
    return httpx.Response(200, json=body, headers=headers)


def error(status: int, code: str | None = None, words: str = "no", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"errorCode": code, "errorSummary": words}, headers=headers)


async def test_a_page_is_given_with_its_header_lines() -> None:
    links = [("Link", '<https://a/1>; rel="self"'), ("Link", '<https://a/2>; rel="next"')]
    desk = Desk(Vendor(httpx.Response(200, content=b"[]", headers=links)))
    answer = await desk.client.get(f"{API}?a=1", params={"limit": 200}, bucket="users")
    assert (answer.status, answer.content, answer.url) == (200, b"[]", f"{API}?a=1&limit=200")
    assert len(answer.headers.get_list("link")) == 2
    assert desk.client.calls == 1


async def test_a_query_in_the_url_is_kept_as_it_stands() -> None:
    vendor = Vendor(page())
    await Desk(vendor).get(f"{API}?after=a%2Bb%3D&limit=2")
    assert vendor.requests[0].url.raw_path == b"/v1/users?after=a%2Bb%3D&limit=2"


async def test_own_headers_are_added_but_never_replace_the_credential() -> None:
    vendor = Vendor(page())
    await Desk(vendor).get(headers={"X-More": "1", "Authorization": "mine"})
    assert vendor.requests[0].headers["X-More"] == "1"
    assert vendor.sent_tokens == ["SSWS the-static-token"]


@pytest.mark.parametrize(
    "passing",
    [
        error(500),
        error(502),
        error(503),
        error(408),
        error(429),
        HTML,
        httpx.Response(200, content=b'{"users": ['),
        httpx.Response(200, content=b""),
        httpx.Response(401, html="<html>proxy</html>"),
        httpx.Response(403, html="<html>blocked</html>"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("cut"),
        httpx.DecodingError("damaged"),
    ],
)
async def test_passing_failures_are_retried(passing: Reply) -> None:
    desk = Desk(Vendor(passing, passing, page([1])))
    assert await desk.get() == b"[1]"
    assert [e for e in desk.events if isinstance(e, Retrying)][-1].attempt == 2


@pytest.mark.parametrize(
    ("passing", "kind"),
    [
        (error(500), VendorUnavailable),
        (error(408), VendorUnavailable),
        (httpx.ReadError("reset"), VendorUnavailable),
        (httpx.ReadTimeout(""), VendorUnavailable),
        (error(429), VendorBusy),
        (HTML, UnexpectedAnswer),
        (httpx.Response(401, html="<html>proxy</html>"), UnexpectedAnswer),
        (httpx.Response(200, content=b"{"), UnexpectedAnswer),
        (httpx.DecodingError("damaged"), UnexpectedAnswer),
    ],
)
async def test_patience_ends_and_names_what_it_was(passing: Reply, kind: type[VendorError]) -> None:
    desk = Desk(Vendor(passing), retry_for_s=30)
    failed = await desk.fails(kind)
    assert failed.request == "GET /v1/users"
    assert sum(desk.time.slept) == pytest.approx(30, abs=0.5)


async def test_a_told_wait_is_kept_and_costs_no_patience() -> None:
    desk = Desk(Vendor(*[error(429, **{"Retry-After": "120"})] * 5, page()), retry_for_s=1)
    await desk.get()
    assert len(desk.time.slept) == 5
    assert all(120 <= s <= 121.1 for s in desk.time.slept)
    assert desk.client.throttled_seconds == pytest.approx(sum(desk.time.slept))
    assert Waiting(desk.time.slept[0], "told") in desk.events


async def test_a_wait_told_to_one_holds_all() -> None:
    vendor = Vendor(error(503, **{"Retry-After": "30"}), page())
    desk = Desk(vendor)
    await asyncio.gather(desk.get(), desk.get())
    assert desk.time.slept[0] >= 30
    assert await desk.client._budget.take("users", Quota(10, 1)) == 0


async def test_a_wait_of_more_than_a_quarter_of_an_hour_is_busy_at_once() -> None:
    desk = Desk(Vendor(error(429, **{"Retry-After": "3600"})))
    assert "60 minutes" in (await desk.fails(VendorBusy)).detail
    assert desk.time.slept == []


async def test_a_vendor_that_always_says_at_once_is_not_asked_for_ever() -> None:
    desk = Desk(Vendor(error(429, **{"Retry-After": "0"})), retry_for_s=30)
    await desk.fails(VendorBusy)
    assert desk.client.calls < 60


async def test_without_patience_nothing_is_retried() -> None:
    desk = Desk(Vendor(error(500), page()), retry_for_s=0)
    assert (await desk.fails(VendorUnavailable)).vendor_status == 500
    assert desk.client.calls == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401, "E0000011"), CredentialRefused),
        (error(401, "E0000015"), InsufficientPermissions),
        (error(403, "E0000006"), InsufficientPermissions),
        (error(400, "E0000029"), CursorRefused),
        (error(400, "E0000001"), UnexpectedAnswer),
        (error(404, "E0000007"), UnexpectedAnswer),
        (httpx.Response(302, headers={"Location": "https://login.example"}), UnexpectedAnswer),
    ],
)
async def test_definite_answers_end_the_call_at_once(reply: httpx.Response, kind: type[VendorError]) -> None:
    desk = Desk(Vendor(reply))
    failed = await desk.fails(kind)
    assert (failed.vendor_status, desk.client.calls) == (reply.status_code, 1)
    assert failed.vendor_code == (json.loads(reply.content)["errorCode"] if reply.content else None)


async def test_a_token_is_asked_for_once_and_shared() -> None:
    vendor = Vendor(page())
    desk = Desk(vendor, OAUTH)
    await asyncio.gather(*(desk.get() for _ in range(5)))
    assert vendor.issued == 1
    assert vendor.sent_tokens == ["Bearer t1"] * 5
    assert desk.client.calls == 6
    assert desk.events == [TokenRenewed()]


async def test_a_token_is_renewed_before_its_end() -> None:
    vendor = Vendor(page(), life=100)
    desk = Desk(vendor, OAUTH)
    for _ in range(3):
        await desk.get()
        await desk.time.sleep(60)
    assert vendor.sent_tokens == ["Bearer t1", "Bearer t1", "Bearer t2"]


async def test_a_token_that_ends_while_waiting_for_the_budget_is_not_sent() -> None:
    vendor = Vendor(page(), life=2)
    desk = Desk(vendor, OAUTH, quota=Quota(1, 60))
    desk.client._quotas = {"users": Quota(1, 60), "token": Quota(100, 1)}
    await desk.get()
    await desk.get()
    assert vendor.sent_tokens == ["Bearer t1", "Bearer t2"]


async def test_a_refused_token_is_renewed_once_for_all() -> None:
    def vendor(request: httpx.Request) -> httpx.Response:
        if str(request.url) == TOKEN_URL:
            issued.append(1)
            return httpx.Response(200, json={"access_token": f"t{len(issued)}"})
        return page() if request.headers["Authorization"] == "Bearer t2" else error(401, "E0000011")

    issued: list[int] = []
    desk = Desk(vendor, OAUTH)
    await asyncio.gather(*(desk.get() for _ in range(8)))
    assert len(issued) == 2


async def test_a_new_token_that_is_refused_too_ends_it() -> None:
    vendor = Vendor(error(401, "E0000011", "Invalid token provided"))
    failed = await Desk(vendor, OAUTH).fails(CredentialRefused)
    assert vendor.sent_tokens == ["Bearer t1", "Bearer t2"]
    assert (failed.vendor_status, failed.vendor_code) == (401, "E0000011")


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refused_client_names_the_other_method_and_tries_it_never(status: int) -> None:
    refused = httpx.Response(status, json={"error": "invalid_client", "error_description": "bad the-client-secret"})
    vendor = Vendor(page(), tokens=[refused] * 9)
    failed = await Desk(vendor, OAUTH).fails(CredentialRefused)
    assert (failed.request, failed.vendor_status, failed.vendor_code) == ("POST /as/token", status, "invalid_client")
    assert "client_secret_basic" in failed.detail
    assert "the-client-secret" not in failed.detail
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(403, json={"error": "access_denied"}), CredentialRefused),
        (httpx.Response(401, content=b""), CredentialRefused),
        (httpx.Response(400, json={"error": "invalid_grant"}), CredentialRefused),
        (httpx.Response(404, html="<html>not found</html>"), InvalidOptions),
        (httpx.Response(404, json={"code": "NOT_FOUND"}), InvalidOptions),
        (httpx.Response(200, json={"token": "x"}), UnexpectedAnswer),
    ],
)
async def test_a_token_endpoints_definite_answers(reply: httpx.Response, kind: type[VendorError]) -> None:
    vendor = Vendor(page(), tokens=[reply] * 9)
    failed = await Desk(vendor, OAUTH).fails(kind)
    assert failed.request == "POST /as/token"
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "passing",
    [
        error(500),
        error(429, **{"Retry-After": "2"}),
        HTML,
        httpx.Response(401, html="<html>proxy</html>"),
        httpx.Response(400, content=b'{"error": "inv'),
        httpx.Response(200, content=b'{"access_token": "t'),
        httpx.Response(503, json={"error": "temporarily_unavailable"}),
        httpx.ConnectError("refused"),
    ],
)
async def test_a_token_endpoints_passing_failures_are_retried(passing: Reply) -> None:
    vendor = Vendor(page([1]), tokens=[passing, passing])
    assert await Desk(vendor, OAUTH).get() == b"[1]"


async def test_what_the_headers_tell_is_kept() -> None:
    sent: dict[int, int] = {}

    def vendor(request: httpx.Request) -> httpx.Response:
        window = int(desk.time.epoch()) // 60
        sent[window] = sent.get(window, 0) + 1
        headers = {"X-Rate-Limit-Limit": "10", "X-Rate-Limit-Remaining": str(10 - sent[window])}
        return page(**headers, **{"X-Rate-Limit-Reset": str((window + 1) * 60)})

    desk = Desk(vendor, quota=None)
    desk.client._budget = MemoryBudget(50, now=desk.time.epoch)
    await asyncio.gather(*(desk.get() for _ in range(22)))
    assert sorted(sent.values()) == [2, 5, 5, 5, 5]
    assert any(isinstance(e, Waiting) and e.reason == "budget" for e in desk.events)


async def test_a_vendor_without_any_limits_is_not_slowed_down() -> None:
    desk = Desk(Vendor(page()), quota=None)
    for _ in range(50):
        await desk.get()
    assert desk.time.slept == []


async def test_a_request_that_never_left_is_no_call() -> None:
    desk = Desk(Vendor(httpx.ConnectError("refused")), retry_for_s=5)
    await desk.fails(VendorUnavailable)
    assert desk.client.calls == 0


async def test_the_guards_refusal_names_the_request_and_is_final() -> None:
    desk = Desk(Vendor(OutboundRefused("10.0.0.1 is private")))
    failed = await desk.fails(OutboundRefused)
    assert failed.request == "GET /v1/users"
    assert desk.time.slept == []


async def test_over_a_real_wire_cut_bodies_and_resets_are_retried() -> None:
    plays = [
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        says(b""),
        says(ok(b"<html>")),
        says(ok(b'{"fine": true}')),
    ]

    async def play(writer: asyncio.StreamWriter) -> None:
        await plays.pop(0)(writer)

    fake = FakeTime()
    async with serving(play) as server, build_client(allow=LOOPBACK, timeout_s=1) as http:
        budget, store = MemoryBudget(50, now=fake.epoch), MemoryTokenStore()
        client = VendorClient(
            http, STATIC, store, budget, errors=read_error, quotas={}, retry_for_s=60, sleep=fake.sleep, now=fake.now
        )
        answer = await client.get(f"{server.url}/x", bucket="users")
    assert json.loads(answer.content) == {"fine": True}
    assert client.calls == 4


async def test_an_illegal_header_is_not_repeated_in_the_error() -> None:
    async with build_client(allow=LOOPBACK, timeout_s=1) as http, serving(says(ok(b"{}"))) as server:
        client = VendorClient(
            http, STATIC, MemoryTokenStore(), MemoryBudget(50), errors=read_error, quotas={}, retry_for_s=5
        )
        with pytest.raises(UnexpectedAnswer) as failed:
            await client.get(server.url, headers={"X-Bad": "secret\nline"}, bucket="users")
    assert "secret" not in failed.value.detail
