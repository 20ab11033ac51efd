"""Tenants of ISC are credentials; their sources are asked live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from starlette.responses import Response

from tests.api.problems import assert_problem
from tests.certifications.isc import Tenant, refusal, running
from tests.certifications.world import World, connect
from tests.conftest import Api

PATH = "/v1/isc/tenants"


@pytest_asyncio.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with running(Tenant()) as served:
        yield served


async def test_a_tenant_is_checked_and_rotated_like_any_credential(api: Api, tenant: Tenant) -> None:
    tenant_id = await connect(api, tenant, environment="production")
    checked = (await api.post(f"/v1/credentials/{tenant_id}/check")).json()
    assert checked["ok"]
    assert checked["identity"] == {"tenant": "acme", "subject": "seatwise.service"}
    assert checked["granted"] == ["idn:accounts:read", "idn:sources:read"]
    tenant.secret = "its-next-secret"
    rotated = await api.post(
        f"/v1/credentials/{tenant_id}/rotate",
        json={"secrets": {"client_id": "client-2", "client_secret": tenant.secret}},
    )
    assert rotated.status_code == 200, rotated.text
    tenant.secret, tenant.claims = "another-tenants", {"org": "other"}
    stranger = {"secrets": {"client_id": "client-2", "client_secret": tenant.secret}}
    assert (
        "another tenant"
        in assert_problem(await api.post(f"/v1/credentials/{tenant_id}/rotate", json=stranger), 422)["detail"]
    )


async def test_what_the_token_may_not_is_named(api: Api, tenant: Tenant) -> None:
    tenant.rights = ("idn:accounts:read",)
    tenant_id = await connect(api, tenant)
    checked = (await api.post(f"/v1/credentials/{tenant_id}/check")).json()
    assert (checked["ok"], checked["code"]) == (False, "insufficient_permissions")
    assert (checked["granted"], checked["missing"]) == (["idn:accounts:read"], ["idn:sources:read"])
    refused = await connect(api, tenant, secret="wrong")
    assert (await api.post(f"/v1/credentials/{refused}/check")).json()["code"] == "credential_refused"


async def test_tenants_are_listed_without_other_credentials(api: Api, tenant: Tenant) -> None:
    tenant_id = await connect(api, tenant, environment="staging")
    body = {"name": "x", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": "00abc"}}
    await api.post("/v1/credentials", json=body)
    viewer = await api.as_role("viewer")
    listed = (await viewer.get(f"{PATH}?count=true&limit=1")).json()
    (item,) = listed["items"]
    assert (item["id"], item["api_url"], item["environment"]) == (tenant_id, tenant.url, "staging")
    names = [each["name"] for each in (await viewer.get(f"{PATH}?sort=name")).json()["items"]]
    assert len(names) == listed["total"]
    assert all(name.startswith("ISC") for name in names)


async def test_sources_come_page_by_page_with_what_they_are_mapped_to(api: Api, tenant: Tenant) -> None:
    for number in range(5):
        tenant.source(f"s{number}", f"Source {number}")
    world = await World.make(api, tenant)
    await world.map("s3")
    viewer = await api.as_role("viewer")
    path, names = f"{PATH}/{world.tenant_id}/sources?limit=2&count=true", []
    while path:
        answer = await viewer.get(path)
        assert answer.json()["total"] == 5
        names += [item["name"] for item in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert names == [f"Source {number}" for number in range(5)]
    items = (await viewer.get(f"{PATH}/{world.tenant_id}/sources?sort=-name")).json()["items"]
    assert [item["id"] for item in items] == ["s4", "s3", "s2", "s1", "s0"]
    assert {item["id"]: item["mapped_to"] for item in items if item["mapped_to"]} == {"s3": str(world.application)}
    assert set(items[0]) == {"id", "name", "type", "environment", "mapped_to"}


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("Ledgerly Production", "production"),
        ("ledgerly-prod", "production"),
        ("Ledgerly (STAGE)", "staging"),
        ("Ledgerly staging 2", "staging"),
        ("Ledgerly_dev1", "development"),
        ("Test Ledgerly", "development"),
        ("Ledgerly Sandbox", "development"),
        ("Productboard", None),
        ("Ledgerly", None),
    ],
)
async def test_the_name_of_a_source_tells_its_environment(
    api: Api, tenant: Tenant, name: str, environment: str | None
) -> None:
    tenant.source("s", name)
    listed = await api.get(f"{PATH}/{await connect(api, tenant)}/sources")
    assert listed.json()["items"][0]["environment"] == environment
    told = await api.get(f"{PATH}/{await connect(api, tenant, environment='staging')}/sources")
    assert told.json()["items"][0]["environment"] == "staging"


async def test_what_isc_refuses_is_told_in_its_words(api: Api, tenant: Tenant) -> None:
    tenant_id = await connect(api, tenant)
    tenant.fault = refusal(403, "403 Forbidden", "The server refuses to authorize it.")
    problem = assert_problem(await api.get(f"{PATH}/{tenant_id}/sources"), 502)
    assert "refuses to authorize" in problem["detail"]
    assert "tracking id a2318bced0364fe59899dba4b12b76c3" in problem["detail"]
    tenant.fault = Response("<html>down</html>", 503)
    assert_problem(await api.get(f"{PATH}/{tenant_id}/sources"), 502)


async def test_bad_questions_are_told(api: Api, tenant: Tenant) -> None:
    assert_problem(await api.get(f"{PATH}/{uuid4()}/sources"), 404)
    assert_problem(await api.anonymous().get(PATH), 401)
    tenant_id = await connect(api, tenant)
    assert_problem(await api.get(f"{PATH}/{tenant_id}/sources?cursor=abc"), 400)
    assert_problem(await api.get(f"{PATH}/{tenant_id}/sources?sort=type"), 422)
    assert_problem(await api.get(f"{PATH}?connector=okta"), 422)


async def test_no_instance_is_made_of_a_tenant(api: Api, tenant: Tenant) -> None:
    body = {"name": "ISC", "connector": "sailpoint-isc", "credential_id": await connect(api, tenant)}
    problem = assert_problem(await api.post("/v1/instances", json=body), 422)
    (error,) = problem["errors"]
    assert error["pointer"] == "#/connector"
    assert "source mappings" in error["detail"]


async def test_the_form_of_the_connector_asks_for_the_address(api: Api) -> None:
    form = (await api.get("/v1/connectors/sailpoint-isc")).json()
    assert form["options_schema"]["required"] == ["api_url"]
    assert form["options_schema"]["properties"]["environment"]["enum"] == ["production", "staging", "development"]
    assert (form["streams"], form["default_mapping"]) == ([], [])
    private = {
        "name": "x", "connector": "sailpoint-isc", "scheme": "oauth2_client_credentials",
        "secrets": {"client_id": "c", "client_secret": "s"}, "options": {"api_url": "http://10.1.2.3"},
    }  # fmt: skip
    problem = assert_problem(await api.post("/v1/credentials", json=private), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/options/api_url"]
