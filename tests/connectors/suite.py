"""What every connector must pass, whatever its vendor; each connector's tests inherit it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import httpx
import pytest
import structlog.testing

from app.connectors import registry
from app.connectors.contract import Connector, Page
from app.core.errors import (
    CredentialRefused,
    CursorRefused,
    InsufficientPermissions,
    PagingError,
    UnexpectedAnswer,
    VendorBusy,
    VendorError,
    VendorUnavailable,
)
from app.http.auth import MemoryTokenStore
from app.http.budget import MemoryBudget
from app.http.vendor import VendorClient

T = TypeVar("T")

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=7)
SECRET = "s3cr3t-value-that-nobody-may-see"


class FakeVendor:
    """One vendor in memory: each test file has its own, which answers as its documentation says.

    people  how many users it lists, two a page.
    fault   answers every call to the API instead; page bends the pages of the list of users.
    """

    key: ClassVar[str]
    scheme: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]]
    options: ClassVar[Mapping[str, Any]]
    token_path: ClassVar[str] = "/token"
    forgets_cursors: ClassVar[bool] = True

    def __init__(self, people: int = 5) -> None:
        self.people = people
        self.requests: list[httpx.Request] = []
        self.tokens = 0
        self.fault: Callable[[httpx.Request], httpx.Response] | None = None
        self.page: Callable[[httpx.Request, httpx.Response], httpx.Response] = lambda _, answer: answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.endswith(self.token_path):
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"{SECRET}-{self.tokens}", "expires_in": "3600"})
        if self.fault is not None:
            return self.fault(request)
        answer = self.api(request)
        return self.page(request, answer) if self.is_users(request) else answer

    def api(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError

    def is_users(self, request: httpx.Request) -> bool:
        raise NotImplementedError

    def sent(self, path: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path.endswith(path)]

    def same_next(self, answer: httpx.Response) -> httpx.Response:
        """The answer with a next page that was given before."""
        raise NotImplementedError

    def foreign_next(self, answer: httpx.Response) -> httpx.Response | None:
        """The answer with a next link to a stranger; None where the vendor gives no links."""
        raise NotImplementedError

    def client(self) -> VendorClient:
        async def no_sleep(_seconds: float) -> None:
            await asyncio.sleep(0)

        return VendorClient(
            httpx.AsyncClient(transport=httpx.MockTransport(self)),
            registry.token_flow(self.key, self.scheme, self.secrets, self.options),
            MemoryTokenStore(),
            MemoryBudget(0),
            errors=registry.error_reader(self.key),
            quotas={},
            retry_for_s=0.05,
            sleep=no_sleep,
        )

    def connect(self, **options: Any) -> Connector:
        return registry.connect(
            self.key, {**self.options, **options}, self.client(), client_id=self.secrets.get("client_id")
        )


async def pages(stream: AsyncIterator[Page[T]]) -> list[Page[T]]:
    return [page async for page in stream]


async def records(stream: AsyncIterator[Page[T]]) -> list[T]:
    return [record for page in await pages(stream) for record in page.records]


class ConnectorSuite:
    vendor: ClassVar[type[FakeVendor]]

    async def test_pages_end_and_every_user_comes_once(self) -> None:
        vendor = self.vendor(people=5)
        read = await pages(vendor.connect().users())
        assert len({user.vendor_id for page in read for user in page.records}) == 5
        assert [page.last for page in read] == [False] * (len(read) - 1) + [True]
        assert read[-1].cursor is None
        assert all(page.cursor for page in read[:-1])

    async def test_a_read_goes_on_after_any_page(self) -> None:
        whole = await pages(self.vendor().connect().users())
        for number, page in enumerate(whole[:-1]):
            rest = await pages(self.vendor().connect().users(page.cursor))
            assert rest == whole[number + 1 :]

    async def test_a_repeated_cursor_is_refused(self) -> None:
        vendor = self.vendor()
        vendor.page = lambda _, answer: vendor.same_next(answer)
        with pytest.raises(PagingError):
            await pages(vendor.connect().users())

    async def test_a_next_link_to_a_stranger_is_refused_and_nothing_is_sent_there(self) -> None:
        vendor = self.vendor()
        answer = vendor.foreign_next(httpx.Response(200, json=[]))
        if answer is None:
            pytest.skip("this vendor gives page numbers, not links")
        vendor.page = lambda _, answer: vendor.foreign_next(answer) or answer
        with pytest.raises(PagingError):
            await pages(vendor.connect().users())
        assert not [request for request in vendor.requests if request.url.host == "stranger.example"]

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (401, b'{"message": "no"}', CredentialRefused),
            (403, b'{"message": "no"}', InsufficientPermissions),
            (429, b"{}", VendorBusy),
            (500, b"{}", VendorUnavailable),
            (503, b"", VendorUnavailable),
            (200, b'{"data": [{"id": 1}, {"i', UnexpectedAnswer),
            (200, b"<html>Sign in</html>", UnexpectedAnswer),
            (200, b'"a text"', UnexpectedAnswer),
            (200, b'{"other": true}', UnexpectedAnswer),
            (200, b"null", UnexpectedAnswer),
            (200, b"[" * 20_000 + b"]" * 20_000, UnexpectedAnswer),
            (500, b"[" * 20_000 + b"]" * 20_000, VendorUnavailable),
        ],
    )
    async def test_each_failure_has_its_own_class(self, status: int, body: bytes, kind: type[VendorError]) -> None:
        vendor = self.vendor()
        vendor.fault = lambda _: httpx.Response(status, content=body, headers={"content-type": "application/json"})
        with pytest.raises(VendorError) as caught:
            await pages(vendor.connect().users())
        assert type(caught.value) is kind
        assert caught.value.vendor_status == status
        assert caught.value.request is not None
        assert caught.value.request.startswith("GET /")
        assert "?" not in caught.value.request

    async def test_a_broken_connection_is_a_passing_fault(self) -> None:
        vendor = self.vendor()

        def broken(request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("reset", request=request)

        vendor.fault = broken
        with pytest.raises(VendorUnavailable):
            await pages(vendor.connect().users())
        with pytest.raises(VendorUnavailable):
            await vendor.connect().check()

    async def test_a_cursor_the_vendor_forgot_starts_the_stream_anew(self) -> None:
        vendor = self.vendor()
        if not vendor.forgets_cursors:
            pytest.skip("this vendor's pages are numbered")
        first = (await pages(vendor.connect().users()))[0]
        vendor.page = lambda _, __: httpx.Response(400, json={"message": "what cursor?"})
        with pytest.raises(CursorRefused):
            await pages(vendor.connect().users(first.cursor))

    async def test_a_cursor_of_another_making_is_not_followed(self) -> None:
        with pytest.raises(VendorError):
            await pages(self.vendor().connect().users("https://stranger.example/users"))

    async def test_a_refused_credential_is_an_answer_of_check(self) -> None:
        vendor = self.vendor()
        vendor.fault = lambda _: httpx.Response(401, json={"message": "no such token"})
        check = await vendor.connect().check()
        assert (check.ok, check.code) == (False, "credential_refused")
        assert check.detail

    async def test_a_good_credential_is_ok_and_few_requests_tell_it(self) -> None:
        vendor = self.vendor()
        check = await vendor.connect().check()
        assert (check.ok, check.code, check.missing) == (True, None, ())
        assert check.granted
        assert check.tenant
        assert check.subject
        assert len(vendor.requests) <= 7

    async def test_one_odd_record_is_set_aside_and_the_others_are_read(self) -> None:
        vendor = self.vendor(people=4)
        vendor.page = lambda _, answer: with_first_record_broken(answer)
        read = await pages(vendor.connect().users())
        rejected = [entry for page in read for entry in page.rejected]
        assert {entry.code for entry in rejected} == {"unreadable_record"}
        assert sum(len(page.records) for page in read) >= 1

    async def test_one_token_serves_many_requests_at_once(self) -> None:
        vendor = self.vendor()
        connector = vendor.connect()
        await asyncio.gather(*(records(connector.users()) for _ in range(8)))
        assert vendor.tokens <= 1

    async def test_no_secret_is_shown(self) -> None:
        vendor = self.vendor()
        connector = vendor.connect()
        with structlog.testing.capture_logs() as logs:
            read = await pages(connector.users())
            vendor.fault = lambda _: httpx.Response(403, json={"message": f"token {SECRET} may not"})
            with pytest.raises(InsufficientPermissions) as caught:
                await pages(connector.users())
        flow = registry.token_flow(vendor.key, vendor.scheme, vendor.secrets, vendor.options)
        audience = registry.token_audience(vendor.key, vendor.scheme, vendor.secrets, vendor.options)
        tenant = registry.vendor_tenant(vendor.key, vendor.options, client_id=vendor.secrets.get("client_id"))
        shown = [repr(logs), repr(flow), repr(vars(connector)), audience, tenant, str(caught.value), repr(caught.value)]
        for secret in {SECRET, *(v for name, v in vendor.secrets.items() if name != "client_id")}:
            assert not any(secret in text for text in shown)
        assert read

    async def test_a_proxy_may_stand_before_the_vendor(self) -> None:
        vendor = self.vendor()
        proxied = await records(vendor.connect(api_url="https://proxy.example/vendor").users())
        assert len(proxied) == 5
        assert {
            request.url.host for request in vendor.requests if not request.url.path.endswith(vendor.token_path)
        } == {"proxy.example"}


def with_first_record_broken(answer: httpx.Response) -> httpx.Response:
    """The answer with a text in place of the first record of its list."""
    body = json.loads(answer.content)
    rows = body if isinstance(body, list) else body.get("data") or next(iter(body.get("_embedded", {}).values()), None)
    if rows:
        rows[0] = "not a record"
    return httpx.Response(answer.status_code, json=body, headers=links(answer))


def links(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers.multi_items() if name == "link"]
