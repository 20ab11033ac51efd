from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from app.connectors import registry
from app.connectors.contract import Rejected, User
from app.connectors.ironclad import read_fault
from app.connectors.ironclad.records import read_user
from app.core.errors import CursorRefused, InvalidInput, NotFound, PagingError
from app.http.auth import ClientCredentials

from .suite import NOW, SECRET, SINCE, ConnectorSuite, FakeVendor, pages, records


def person(number: int, **other: Any) -> dict[str, Any]:
    return {
        "id": 40200 + number,
        "name": f"Ines Holm {number}",
        "email": f"ines{number}@example.test",
        "locale": "en-US",
        "time_zone": "CET",
        "verified": True,
        "verified_time": "2025-02-03T09:14:55.120Z",
        "profiles": [],
        **other,
    }


class FakeIronclad(FakeVendor):
    """Two accounts; the first holds `people`, the second nobody."""

    key = "ironclad-clickwrap"
    scheme = "oauth2_client_credentials"
    secrets: ClassVar[Mapping[str, str]] = {"client_id": "clickwrap-client", "client_secret": SECRET}
    options: ClassVar[Mapping[str, Any]] = {}
    forgets_cursors = False

    def __init__(self, people: int = 5) -> None:
        super().__init__(people)
        self.sites: list[dict[str, Any]] = [
            {"id": 1, "account": 7, "name": "Shop"},
            {"id": 2, "account": 7, "name": "Blog"},
            {"id": 3, "account": 12, "name": "Old", "deleted": True},
        ]

    def is_users(self, request: httpx.Request) -> bool:
        return request.url.path.endswith("/accounts/7/members")

    def api(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/sites"):
            return self.paged(request, self.sites, 100)
        if path.endswith("/memberships"):
            role = {"1": "manager", "2": "admin"}[path.split("/")[-2]]
            return self.paged(request, [{"role": role, "user": person(0)}, {"role": role, "user": None}], 100)
        return self.paged(request, [person(n) for n in range(self.people)] if "/accounts/7/" in path else [], 2)

    def paged(self, request: httpx.Request, rows: list[dict[str, Any]], size: int) -> httpx.Response:
        number = int(request.url.params["page"])
        part = rows[(number - 1) * size : number * size]
        return httpx.Response(
            200,
            json={
                "page": number,
                "per_page": size,
                "count": len(part),
                "total_count": len(rows),
                "has_more": number * size < len(rows),
                "data": part,
            },
        )

    def same_next(self, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(200, json={**json.loads(answer.content), "page": 1, "has_more": True})

    def foreign_next(self, answer: httpx.Response) -> None:
        return None


class TestSuite(ConnectorSuite):
    vendor = FakeIronclad


def read(record: Any) -> User | Rejected:
    return read_user(msgspec.Raw(json.dumps(record).encode()), {"40201": {"manager", "admin"}})


def test_a_user_has_its_metadata_and_its_email_for_username() -> None:
    user = read(person(1))
    assert isinstance(user, User)
    assert (user.vendor_id, user.username, user.email) == ("40201", "ines1@example.test", "ines1@example.test")
    assert (user.active, user.vendor_status, user.role) == (True, None, "admin, manager")
    assert user.metadata == {
        "locale": "en-US",
        "time_zone": "CET",
        "user_id": 40201,
        "verified": True,
        "verified_time": "2025-02-03T09:14:55.120Z",
    }


def test_what_is_absent_is_null() -> None:
    user = read({"id": 5, "email": "a@example.test", "name": "", "locale": ""})
    assert isinstance(user, User)
    assert (user.name, user.role) == ("a@example.test", None)
    assert user.metadata == {"locale": None, "time_zone": None, "user_id": 5, "verified": None, "verified_time": None}


def test_a_user_without_email_is_rejected() -> None:
    assert read({"id": 5, "name": "Nobody"}) == Rejected(
        "5", "no_identity", "The record has neither an e-mail address nor a username."
    )


async def test_accounts_are_found_by_the_sites_and_roles_joined_from_all_of_them() -> None:
    vendor = FakeIronclad(people=2)
    users = await records(vendor.connect().users())
    assert [(user.vendor_id, user.role) for user in users] == [("40200", "admin, manager"), ("40201", None)]
    assert [r.url.path for r in vendor.requests if "/accounts/" in r.url.path] == [
        "/v1.1/accounts/7/members",
        "/v1.1/accounts/12/members",
    ]
    assert dict(vendor.sent("/accounts/7/members")[0].url.params) == {"page": "1", "per_page": "100"}
    assert not vendor.sent("/sites/3/memberships")


@pytest.mark.parametrize("status", [403, 404])
async def test_roles_that_cannot_be_seen_cost_no_user(status: int) -> None:
    class Closed(FakeIronclad):
        def api(self, request: httpx.Request) -> httpx.Response:
            closed = request.url.path.endswith("/memberships")
            return httpx.Response(status, json={"error": {"name": "No"}}) if closed else super().api(request)

    assert [user.role for user in await records(Closed(people=1).connect().users())] == [None]


async def test_the_total_is_told_where_there_is_one_account() -> None:
    vendor = FakeIronclad()
    vendor.sites = vendor.sites[:2]
    assert {page.expected for page in await pages(vendor.connect().users())} == {5}


async def test_an_account_that_is_gone_starts_the_read_anew() -> None:
    for cursor in ("8:2", "7:0", "7:x", "damaged"):
        with pytest.raises(CursorRefused):
            await pages(FakeIronclad().connect().users(cursor))


async def test_a_list_that_never_ends_is_refused() -> None:
    vendor = FakeIronclad()
    vendor.page = lambda request, _: httpx.Response(
        200, json={"page": int(request.url.params["page"]), "has_more": True, "data": [person(1)]}
    )
    with pytest.raises(PagingError):
        await pages(vendor.connect().users())
    vendor.page = lambda _, __: httpx.Response(200, json={"page": 1, "has_more": True, "data": []})
    with pytest.raises(PagingError):
        await pages(vendor.connect().users())


async def test_more_pages_are_told_by_the_total_too() -> None:
    vendor = FakeIronclad(people=3)

    def without_has_more(_: httpx.Request, answer: httpx.Response) -> httpx.Response:
        body = json.loads(answer.content)
        del body["has_more"]
        return httpx.Response(200, json=body)

    vendor.page = without_has_more
    assert len(await records(vendor.connect().users())) == 3


async def test_nothing_but_users_is_offered() -> None:
    connector = FakeIronclad().connect()
    assert connector.streams == {"users"}
    assert await records(connector.applications()) == []
    assert await records(connector.assignments("x")) == []
    assert await records(connector.activity(SINCE, NOW)) == []


async def test_check_tells_the_accounts_and_warns_of_none() -> None:
    vendor = FakeIronclad()
    check = await vendor.connect().check()
    assert (check.ok, check.tenant, check.subject) == (True, "7, 12", "…ient")
    vendor.sites = []
    check = await vendor.connect().check()
    assert (check.ok, check.tenant) == (True, None)
    assert "no site" in check.warnings[0]


async def test_check_names_the_list_that_is_refused() -> None:
    vendor = FakeIronclad()
    vendor.page = lambda _, __: httpx.Response(403, json={"error": {"name": "Forbidden", "message": "no"}})
    check = await vendor.connect().check()
    assert (check.ok, check.missing, check.code) == (False, ("List account members",), "insufficient_permissions")


def test_errors_are_read_by_their_name() -> None:
    body = b'{"error": {"message": "slow down", "status": 429, "name": "RateLimitExceededError", "code": 1}}'
    fault = read_fault(429, httpx.Headers(), body)
    assert (fault.code, fault.message) == ("RateLimitExceededError", "slow down")
    assert read_fault(400, httpx.Headers(), b'{"error": "invalid_client"}').code == "invalid_client"


@pytest.mark.parametrize(("encoding", "kind"), [(None, "form"), ("form", "form"), ("json", "json")])
def test_the_token_may_be_asked_for_as_json(encoding: str | None, kind: str) -> None:
    options = {"token_encoding": encoding} if encoding else {}
    flow = registry.token_flow(FakeIronclad.key, FakeIronclad.scheme, FakeIronclad.secrets, options)
    assert isinstance(flow, ClientCredentials)
    assert kind in flow.token_request().headers["Content-Type"]


def test_the_registry_names_what_there_is() -> None:
    assert set(registry.MANIFESTS) == {"pingone", "okta", "ironclad-clickwrap", "sailpoint-isc"}
    with pytest.raises(NotFound, match="okta"):
        registry.manifest("oktaa")
    with pytest.raises(InvalidInput, match="fields"):
        registry.token_flow("okta", "password", {}, {"sso_url": "https://acme.okta.com"})
    with pytest.raises(InvalidInput) as caught:
        registry.vendor_tenant("pingone", {"region": "eu"})
    assert [error.pointer for error in caught.value.errors] == ["#/options/environment_id"]


def test_the_token_url_follows_region_environment_and_override() -> None:
    secrets = {"client_id": "c", "client_secret": SECRET}
    scheme = "oauth2_client_credentials"
    ping = {"region": "com.au", "environment_id": "e1"}

    def audience(key: str, options: dict[str, str]) -> str:
        return registry.token_audience(key, scheme, secrets, options)

    assert audience("pingone", ping) == "https://auth.pingone.com.au/e1/as/token c"
    assert audience("pingone", {**ping, "auth_environment_id": "e2"}) == "https://auth.pingone.com.au/e2/as/token c"
    assert audience("pingone", {**ping, "auth_url": "http://127.0.0.1:9/p/"}) == "http://127.0.0.1:9/p/e1/as/token c"
    assert audience("ironclad-clickwrap", {}) == "https://api.pactsafe.com/oauth/token c"
    assert registry.vendor_tenant("ironclad-clickwrap", {}, client_id="c") == "ironclad-clickwrap:c"
    assert registry.vendor_tenant("pingone", {**ping, "api_url": "http://127.0.0.1:9/"}) == (
        "pingone:com.au:e1@http://127.0.0.1:9"
    )
