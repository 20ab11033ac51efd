from __future__ import annotations

from typing import Any

import pytest

from tests.api.problems import assert_problem
from tests.conftest import Api

ENTRY = {
    "key": "ledgerly", "name": "Ledgerly", "vendor": "Ledgerly", "category": "Finance",
    "domains": ["ledgerly.example"], "definitions": ["ledgerly_saml"],
}  # fmt: skip


async def test_the_catalogue_begins_with_well_known_applications(api: Api) -> None:
    found = (await (await api.as_role("viewer")).get("/v1/catalog?q=sales&sort=name&count=true")).json()
    assert [item["key"] for item in found["items"]] == ["salesforce", "salesloft"]
    salesforce = found["items"][0]
    assert (salesforce["category"], salesforce["definitions"]) == ("CRM", ["salesforce"])
    assert (await api.get("/v1/catalog?count=true&limit=1")).json()["total"] >= 150
    crm = (await api.get("/v1/catalog?category=CRM")).json()["items"]
    assert {item["category"] for item in crm} == {"CRM"}


async def test_an_entry_is_made_read_changed_and_deleted(api: Api) -> None:
    answer = await api.post("/v1/catalog", json=ENTRY)
    assert answer.status_code == 201, answer.text
    path = answer.headers["Location"]
    read = await api.get(path)
    assert read.json() == answer.json()
    assert {name: read.json()[name] for name in ENTRY} == ENTRY
    etag = {"If-Match": read.headers["ETag"]}
    changed = await api.patch(path, json={"vendor": None, "domains": []}, headers=etag)
    assert (changed.status_code, changed.json()["vendor"], changed.json()["domains"]) == (200, None, [])
    assert (await api.patch(path, json={"name": "L"}, headers=etag)).status_code == 412
    assert (await api.delete(path)).status_code == 204
    assert_problem(await api.get(path), 404)
    events = (await api.get(f"/v1/audit-events?resource_id={read.json()['id']}")).json()["items"]
    assert [event["action"].split(".")[1] for event in events] == ["deleted", "updated", "created"]
    assert events[-1]["after"]["catalog_key"] == "ledgerly"


async def test_a_key_stands_once(api: Api) -> None:
    assert_problem(await api.post("/v1/catalog", json={**ENTRY, "key": "salesforce"}), 409)
    made = (await api.post("/v1/catalog", json={**ENTRY, "key": "mine"})).json()
    assert_problem(await api.patch(f"/v1/catalog/{made['id']}", json={"key": "slack"}), 409)


async def test_only_admins_write_the_catalogue(api: Api) -> None:
    operator = await api.as_role("operator")
    found = (await api.get("/v1/catalog?limit=1")).json()["items"][0]
    assert_problem(await operator.post("/v1/catalog", json=ENTRY), 403)
    assert_problem(await operator.patch(f"/v1/catalog/{found['id']}", json={"name": "X"}), 403)
    assert_problem(await operator.delete(f"/v1/catalog/{found['id']}"), 403)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"key": "Ledgerly!"}, "#/key"),
        ({"domains": ["https://ledgerly.example"]}, "#/domains/0"),
        ({"definitions": ["a b"]}, "#/definitions/0"),
        ({"name": ""}, "#/name"),
        ({"logo": "x"}, "#/logo"),
    ],
)
async def test_bad_entries_are_named(api: Api, members: dict[str, Any], pointer: str) -> None:
    problem = assert_problem(await api.post("/v1/catalog", json={**ENTRY, **members}), 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
