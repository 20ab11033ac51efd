"""What can be connected, as a frontend reads it to draw its form."""

from __future__ import annotations

import pytest

from app.connectors import registry
from tests.api.problems import assert_problem
from tests.conftest import Api

MEMBERS = {
    "key", "name", "vendor", "category", "auth", "options_schema", "streams", "fields", "permissions", "setup",
    "default_mapping", "capabilities",
}  # fmt: skip


async def test_every_connector_is_listed_by_name(api: Api) -> None:
    viewer = await api.as_role("viewer")
    body = (await viewer.get("/v1/connectors?count=true")).json()
    names = [item["name"] for item in body["items"]]
    assert names == sorted(names, key=str.lower)
    assert {item["key"] for item in body["items"]} == set(registry.MANIFESTS)
    assert body["total"] == len(names)
    assert body["next_cursor"] is None
    assert all(set(item) == MEMBERS for item in body["items"])


@pytest.mark.parametrize("sort", ["name", "-name"])
async def test_connectors_page_too(api: Api, sort: str) -> None:
    path = f"/v1/connectors?limit=1&sort={sort}"
    names: list[str] = []
    while path:
        response = await api.get(path)
        names += [item["name"] for item in response.json()["items"]]
        path = response.links["next"]["url"] if "next" in response.links else ""
    assert len(names) == len(registry.MANIFESTS)
    assert names == sorted(names, key=str.lower, reverse=sort.startswith("-"))


async def test_a_connector_shows_its_form(api: Api) -> None:
    response = await api.get("/v1/connectors/pingone")
    body = response.json()
    assert body["auth"][0]["scheme"] == "oauth2_client_credentials"
    assert body["auth"][0]["secrets_schema"]["required"] == ["client_id", "client_secret"]
    assert body["options_schema"]["properties"]["region"]["enum"] == ["com", "ca", "eu", "asia", "com.au", "sg"]
    assert {"name", "title", "description", "type", "filterable"} == set(body["fields"][0])
    unchanged = await api.get("/v1/connectors/pingone", headers={"If-None-Match": response.headers["etag"]})
    assert unchanged.status_code == 304


async def test_what_does_not_exist_is_missing(api: Api) -> None:
    assert_problem(await api.get("/v1/connectors/fax"), 404)
    assert_problem(await api.get("/v1/connectors/%00"), 422)
    assert_problem(await api.anonymous().get("/v1/connectors"), 401)
