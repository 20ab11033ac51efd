from __future__ import annotations

from typing import Any, Self

import msgspec
import pytest

from app.connectors.contract import Page
from app.core.errors import CredentialRefused
from tests.api.instances import make, make_credential
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.sync.world import user

FLOOR = {"kind": "account", "key": "floor", "title": "Floor", "type": "number"}
TEAM = {"kind": "person", "key": "team", "title": "Team", "type": "choice", "choices": ["Sales", "Support"]}
PROPOSED = [{"source": "email", "target": "email"}, {"source": "name", "target": "name"}]


async def made(api: Api, **members: Any) -> dict[str, Any]:
    answer = await api.post("/v1/fields", json={**FLOOR, **members})
    assert answer.status_code == 201, answer.text
    content: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/fields/{content['id']}"
    return content


async def test_a_field_is_made_read_changed_and_deleted(api: Api) -> None:
    field = await made(api, **TEAM)
    path = f"/v1/fields/{field['id']}"
    read = await (await api.as_role("viewer")).get(path)
    assert read.json() == field
    assert {name: field[name] for name in TEAM} == TEAM
    changed = await api.patch(path, json={"choices": ["Sales"]}, headers={"If-Match": read.headers["ETag"]})
    assert (changed.status_code, changed.json()["choices"]) == (200, ["Sales"])
    assert (await api.patch(path, json={"title": "X"}, headers={"If-Match": read.headers["ETag"]})).status_code == 412
    assert field["id"] in {item["id"] for item in (await api.get("/v1/fields?kind=person")).json()["items"]}
    assert (await api.get("/v1/fields?kind=account&count=true")).json()["total"] == 0
    assert (await api.delete(path)).status_code == 204
    assert_problem(await api.get(path), 404)
    events = (await api.get(f"/v1/audit-events?resource_id={field['id']}")).json()["items"]
    assert [event["action"] for event in events] == ["field.deleted", "field.updated", "field.created"]
    assert events[-1]["after"]["target"] == "person.team"


async def test_a_key_is_unique_for_its_kind(api: Api) -> None:
    await made(api, key="twice")
    await made(api, key="twice", kind="person")
    problem = assert_problem(await api.post("/v1/fields", json={**FLOOR, "key": "twice"}), 409)
    assert problem["errors"][0]["pointer"] == "#/key"


async def test_only_admins_write_fields(api: Api) -> None:
    field = await made(api, key="guarded")
    operator = await api.as_role("operator")
    assert_problem(await operator.post("/v1/fields", json=FLOOR), 403)
    assert_problem(await operator.patch(f"/v1/fields/{field['id']}", json={"title": "X"}), 403)
    assert_problem(await operator.delete(f"/v1/fields/{field['id']}"), 403)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"key": "Floor"}, "#/key"),
        ({"type": "shape"}, "#/type"),
        ({"kind": "instance"}, "#/kind"),
        ({"type": "choice"}, "#/choices"),
        ({"type": "choice", "choices": ["A", "a"]}, "#/choices"),
        ({"choices": ["A"]}, "#/choices"),
        ({"extra": 1}, "#/extra"),
    ],
)
async def test_bad_fields_are_named(api: Api, members: dict[str, Any], pointer: str) -> None:
    problem = assert_problem(await api.post("/v1/fields", json={**FLOOR, **members}), 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_a_mapping_fills_only_fields_that_exist(api: Api) -> None:
    instance = await make(api)
    path = f"/v1/instances/{instance['id']}/mapping"
    items = [*PROPOSED, {"source": "raw.floor", "target": "account.level"}]
    problem = assert_problem(await api.put(path, json={"items": items}), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/items/2/target"]
    field = await made(api, key="level")
    assert (await api.put(path, json={"items": items})).status_code == 200
    conflict = assert_problem(await api.delete(f"/v1/fields/{field['id']}"), 409)
    assert conflict["instances"] == [{"id": instance["id"], "name": instance["name"]}]


class Link:
    """A vendor that lists three users, two to a page."""

    def __init__(self, error: Exception | None = None) -> None:
        self.connector = self
        self.error = error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def users(self) -> Any:
        if self.error is not None:
            raise self.error
        listed = [
            user("u1", raw=msgspec.json.encode({"floor": "7"})),
            user("u2", raw=msgspec.json.encode({"floor": "x"})),
        ]
        yield Page(listed, last=False, cursor="1")
        yield Page([user("u3")], last=True)


async def test_a_preview_maps_the_first_records_and_stores_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sync.preview.connect", lambda *_: Link())
    await made(api)
    instance = await make(api, credential_id=await make_credential(api))
    path = f"/v1/instances/{instance['id']}/mapping/preview"
    operator = await api.as_role("operator")
    items = [*PROPOSED, {"source": "raw.floor", "target": "account.floor"}]
    answer = await operator.post(path, json={"items": items, "limit": 2})
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["items"]
    assert first["vendor_id"] == "u1"
    assert first["raw"] == {"floor": "7"}
    assert (first["account"]["fields"], first["person"]["email"]) == ({"floor": 7}, "u1@example.com")
    assert (second["account"]["fields"], second["errors"][0]["code"]) == ({"floor": None}, "bad_value")
    saved = (await operator.post(path, json={})).json()["items"]
    assert [item["vendor_id"] for item in saved] == ["u1", "u2", "u3"]
    assert (await api.get("/v1/people?q=u1")).json()["items"] == []


async def test_a_preview_that_cannot_be_made_says_why(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = CredentialRefused("The token is invalid.", request="GET /api/v1/users", vendor_status=401)
    monkeypatch.setattr("app.sync.preview.connect", lambda *_: Link(refusal))
    instance = await make(api, credential_id=await make_credential(api))
    path = f"/v1/instances/{instance['id']}/mapping/preview"
    assert "invalid" in assert_problem(await api.post(path, json={}), 502)["detail"]
    assert_problem(await (await api.as_role("viewer")).post(path, json={}), 403)
    bad = assert_problem(await api.post(path, json={"items": [{"source": "shoe", "target": "name"}]}), 422)
    assert bad["errors"][0]["pointer"] == "#/items/0/source"
    assert_problem(await api.post(path, json={"limit": 0}), 422)
    bare = await make(api)
    assert_problem(await api.post(f"/v1/instances/{bare['id']}/mapping/preview", json={}), 409)
    assert_problem(await api.post(f"/v1/instances/{bare['id'][:-4]}ffff/mapping/preview", json={}), 404)
