"""SailPoint as its documentation and its recorded answers say it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from app.connectors import registry
from app.connectors.contract import Rejected
from app.connectors.sailpoint import SailPoint, SourceAccount, read_fault
from app.connectors.sailpoint.connector import quoted
from app.connectors.sailpoint.records import read_account, read_source
from app.core.errors import (
    CredentialRefused,
    InsufficientPermissions,
    PagingError,
    UnexpectedAnswer,
    VendorBusy,
    VendorError,
    VendorUnavailable,
)
from app.http.auth import ClientCredentials

from .suite import SECRET, FakeVendor, pages, records

API = "https://acme.api.identitynow.com"
KEY = "sailpoint-isc"
CLAIMS = (
    "eyJhbGciOiJub25lIn0.eyJvcmciOiJhY21lIiwidXNlcl9uYW1lIjoic2VydmljZSIsInNjb3BlIjpbIkNnPT0iLCJzcDpzY29wZXM6YWxsIl19."
)


class FakeSailPoint(FakeVendor):
    """Two sources; the first has as many accounts as there are people."""

    key = KEY
    scheme = "oauth2_client_credentials"
    secrets: ClassVar[Mapping[str, str]] = {"client_id": "client-1", "client_secret": SECRET}
    options: ClassVar[Mapping[str, Any]] = {"api_url": API}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        if request.url.path == "/oauth/token" and answer.status_code == 200:
            return httpx.Response(200, json={"access_token": CLAIMS, "expires_in": 749})
        return answer

    def is_users(self, request: httpx.Request) -> bool:
        return request.url.path == "/accounts/v1"

    def api(self, request: httpx.Request) -> httpx.Response:
        sources = [{"id": f"s{n}", "name": f"Source {n}", "type": "Okta", "connectorName": "Okta"} for n in range(2)]
        if request.url.path.startswith("/sources/v1/"):
            found = [row for row in sources if row["id"] == request.url.path.rpartition("/")[2]]
            return httpx.Response(200, json=found[0]) if found else httpx.Response(404, json={"detailCode": "404"})
        rows: list[Any] = sources
        if request.url.path == "/accounts/v1":
            rows = [{"id": f"a{n:04d}", "nativeIdentity": str(n), "name": f"n{n}"} for n in range(self.people)]
        limit, offset = int(request.url.params["limit"]), int(request.url.params.get("offset", 0))
        assert limit <= 250
        return httpx.Response(200, json=rows[offset : offset + limit], headers={"X-Total-Count": str(len(rows))})

    def isc(self) -> SailPoint:
        connector = self.connect()
        assert isinstance(connector, SailPoint)
        return connector


async def test_accounts_of_a_source_are_read_by_counted_pages() -> None:
    vendor = FakeSailPoint(people=600)
    read = await pages(vendor.isc().accounts("s0"))
    assert [len(page.records) for page in read] == [250, 250, 100]
    assert [page.cursor for page in read] == ["250", "500", None]
    assert len({account.id for page in read for account in page.records}) == 600
    asked = vendor.sent("/accounts/v1")[0].url.params
    assert (asked["filters"], asked["limit"], asked["sorters"]) == ('sourceId eq "s0"', "250", "id")
    rest = await records(vendor.isc().accounts("s0", "500"))
    assert [account.id for account in rest] == [f"a{n:04d}" for n in range(500, 600)]


async def test_a_list_of_whole_pages_ends() -> None:
    read = await pages(FakeSailPoint(people=500).isc().accounts("s0"))
    assert [len(page.records) for page in read] == [250, 250, 0]
    assert read[-1].last


async def test_a_page_that_comes_again_is_refused() -> None:
    vendor = FakeSailPoint(people=250)
    vendor.page = lambda request, _: vendor.api(httpx.Request("GET", request.url.copy_set_param("offset", "0")))
    with pytest.raises(PagingError):
        await records(vendor.isc().accounts("s0"))


async def test_sources_are_listed_and_found() -> None:
    vendor = FakeSailPoint()
    assert [source.name for source in await records(vendor.isc().sources())] == ["Source 0", "Source 1"]
    found = await vendor.isc().list_sources(offset=0, limit=1, count=True)
    assert ([source.id for source in found.records], found.cursor, found.expected) == (["s0"], "1", 2)
    source = await vendor.isc().find_source("s1")
    assert source is not None
    assert (source.id, source.type, source.connector) == ("s1", "Okta", "Okta")
    assert await vendor.isc().find_source("gone") is None


async def test_nobody_is_brought_into_the_books() -> None:
    isc = FakeSailPoint().isc()
    assert isc.streams == frozenset()
    assert await records(isc.users()) == []


async def test_check_says_whose_token_it_is_and_what_it_may() -> None:
    vendor = FakeSailPoint()
    check = await vendor.connect().check()
    assert (check.ok, check.tenant, check.subject) == (True, "acme", "service")
    assert check.granted == ("idn:accounts:read", "idn:sources:read", "sp:scopes:all")
    assert vendor.tokens == 1
    assert len(vendor.requests) == 3


async def test_check_names_what_is_missing() -> None:
    vendor = FakeSailPoint()
    vendor.page = lambda _, __: httpx.Response(403, content=recorded(403))
    check = await vendor.connect().check()
    assert (check.ok, check.code, check.missing) == (False, "insufficient_permissions", ("idn:accounts:read",))
    assert check.granted == ("idn:sources:read", "sp:scopes:all")
    assert "a2318bced0364fe59899dba4b12b76c3" in check.detail


async def test_an_opaque_token_tells_nothing_of_itself() -> None:
    vendor = FakeSailPoint()
    real = FakeVendor.__call__
    client = vendor.client()
    client._client._transport = httpx.MockTransport(lambda request: real(vendor, request))
    check = await registry.connect(KEY, vendor.options, client, client_id="client-1").check()
    assert (check.ok, check.tenant, check.subject) == (True, "acme.api.identitynow.com", "…nt-1")
    assert check.granted == ("idn:accounts:read", "idn:sources:read")


async def test_a_refused_credential_is_an_answer_of_check() -> None:
    vendor = FakeSailPoint()
    vendor.fault = lambda _: httpx.Response(401, json={"error": "JWT validation failed: JWT is expired"})
    check = await vendor.connect().check()
    assert (check.ok, check.code) == (False, "credential_refused")
    assert "JWT is expired" in check.detail
    assert vendor.tokens == 2


def recorded(status: int) -> bytes:
    texts = {403: "The server understood the request but refuses to authorize it."}
    return json.dumps(
        {
            "detailCode": f"{status} Forbidden",
            "trackingId": "a2318bced0364fe59899dba4b12b76c3",
            "messages": [
                {"locale": "de-DE", "localeOrigin": "DEFAULT", "text": texts[status]},
                {"locale": "en-US", "localeOrigin": "DEFAULT", "text": "Never shown."},
            ],
        }
    ).encode()


def test_errors_are_read_in_each_of_their_forms() -> None:
    def read(status: int, body: bytes) -> tuple[str | None, str | None, str | None]:
        fault = read_fault(status, httpx.Headers(), body)
        return fault.code, fault.message, fault.reference

    words = "The server understood the request but refuses to authorize it."
    assert read(403, recorded(403)) == ("403 Forbidden", words, "a2318bced0364fe59899dba4b12b76c3")
    assert read(401, b'{"error": "JWT validation failed"}') == (None, "JWT validation failed", None)
    assert read(401, b'{"error": "invalid_client", "error_description": "Bad"}') == ("invalid_client", "Bad", None)
    assert read(429, b'{"message": " Rate Limit Exceeded "}') == (None, " Rate Limit Exceeded ", None)
    assert read(500, b"<html>") == (None, None, None)
    assert read(400, b'{"messages": "odd", "trackingId": 7}') == (None, None, "7")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"error": "no"}', CredentialRefused),
        (403, recorded(403), InsufficientPermissions),
        (429, b'{"message": "Rate Limit Exceeded"}', VendorBusy),
        (500, b"{}", VendorUnavailable),
        (200, b'{"id": 1}', UnexpectedAnswer),
        (200, b'[{"id": 1}, {"i', UnexpectedAnswer),
    ],
)
async def test_each_failure_has_its_own_class(status: int, body: bytes, kind: type[VendorError]) -> None:
    vendor = FakeSailPoint()
    vendor.fault = lambda _: httpx.Response(status, content=body, headers={"content-type": "application/json"})
    with pytest.raises(VendorError) as caught:
        await records(vendor.isc().accounts("s0"))
    assert type(caught.value) is kind
    assert "?" not in (caught.value.request or "?")
    assert SECRET not in repr(vars(caught.value))


def test_an_opaque_native_identity_has_its_name_and_mail_beside_it() -> None:
    def read(record: Any) -> SourceAccount | Rejected:
        return read_account(msgspec.Raw(json.dumps(record).encode()))

    attributes = {"externalId": "null", "IIQDisabled": True, "id": "41263", "userName": "Testy.Testerson"}
    record = {"id": "2c91", "nativeIdentity": "41263", "name": "Testy.Testerson", "attributes": attributes}
    assert read(record) == SourceAccount("2c91", "41263", "Testy.Testerson", None)
    assert read({**record, "attributes": {"Email": "t@example.test"}}) == SourceAccount(
        "2c91", "41263", "Testy.Testerson", "t@example.test"
    )
    assert read({"id": "1", "attributes": {"mail": "a@example.test"}}) == SourceAccount(
        "1", "1", None, "a@example.test"
    )
    assert isinstance(read("text"), Rejected)
    assert isinstance(read({"name": "x"}), Rejected)
    assert isinstance(read_source(msgspec.Raw(b'{"name": "x"}')), Rejected)


def test_a_value_in_a_filter_ends_where_it_should() -> None:
    assert quoted('a"b\\c') == '"a\\"b\\\\c"'
    assert quoted("50%#1") == '"50%25%231"'


def test_the_token_is_asked_for_at_the_api_or_where_the_option_says() -> None:
    secrets = {"client_id": "c", "client_secret": SECRET}
    flow: Callable[..., Any] = registry.token_flow
    plain = flow(KEY, "oauth2_client_credentials", secrets, {"api_url": f"{API}/"})
    assert isinstance(plain, ClientCredentials)
    assert plain.token_url == f"{API}/oauth/token"
    body = plain.token_request().content.decode()
    assert "grant_type=client_credentials" in body
    assert f"client_secret={SECRET}" in body
    moved = flow(KEY, "oauth2_client_credentials", secrets, {"api_url": API, "auth_url": "https://vanity.example"})
    assert moved.token_url == "https://vanity.example/oauth/token"


def test_the_web_page_of_a_tenant_is_not_its_api() -> None:
    manifest = registry.manifest(KEY)
    (error,) = manifest.option_errors({"api_url": "https://acme.identitynow.com"})
    assert "https://acme.api.identitynow.com" in error.detail
    assert manifest.option_errors({"api_url": API, "environment": "staging"}) == []
    assert [e.pointer for e in manifest.missing_options({})] == ["#/options/api_url"]
    (error,) = manifest.option_errors({"environment": "Production"})
    assert "'production'" in error.detail
