"""Secrets go in, are tried, and never come out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from app import credentials
from app.connectors.contract import Check
from app.core.errors import CredentialRefused, VendorError
from tests.api.problems import assert_problem
from tests.conftest import Api

PATH = "/v1/credentials"
SECRET = "the-secret-that-must-not-be-seen"
ENVIRONMENT = "0b1a2c3d-1111-4222-8333-444455556666"


def pingone(**changes: Any) -> dict[str, Any]:
    return {
        "name": "PingOne production",
        "connector": "pingone",
        "scheme": "oauth2_client_credentials",
        "secrets": {"client_id": "11112222-aaaa-4bbb-8ccc-ddddeeee4c77", "client_secret": SECRET},
        "options": {"region": "eu", "environment_id": ENVIRONMENT},
    } | changes


async def made(api: Api, **changes: Any) -> dict[str, Any]:
    response = await api.post(PATH, json=pingone(**changes))
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_of_the_secrets_only_names_are_shown(api: Api) -> None:
    response = await api.post(PATH, json=pingone())
    body = response.json()
    assert response.status_code == 201
    assert body["secrets_set"] == ["client_id", "client_secret"]
    assert body["client_id_last4"] == "4c77"
    assert body["storage"] == "vault"
    assert body["owner"] is None
    assert body["created_by"]["email"] == "admin@example.com"
    read = await api.get(response.headers["location"])
    assert read.json() == body
    assert read.headers["etag"] == response.headers["etag"]
    stored = await api.runtime.database.pool.fetch(
        "SELECT t::text FROM credentials t UNION ALL SELECT a::text FROM audit_events a"
    )
    everything = response.text + read.text + "".join(row[0] for row in stored)
    assert SECRET not in everything
    assert "ddddeeee" not in everything


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_roles(api: Api, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Check(ok=True, tenant="acme", subject="worker"))
    location = f"{PATH}/{(await made(api))['id']}"
    lesser = await api.as_role(role)  # type: ignore[arg-type]  # one of the roles
    assert (await lesser.get(location)).status_code == 200
    assert (await lesser.get(PATH)).status_code == 200
    assert_problem(await lesser.post(PATH, json=pingone()), 403)
    assert_problem(await lesser.patch(location, json={"name": "x"}), 403)
    assert_problem(await lesser.delete(location), 403)
    checked = await lesser.post(f"{location}/check")
    assert checked.status_code == (403 if role == "viewer" else 200)
    assert_problem(await api.anonymous().get(location), 401)


@pytest.mark.parametrize(
    ("changes", "pointer", "says"),
    [
        ({"connector": "fax"}, "#/connector", "pingone"),
        ({"scheme": "api_token"}, "#/scheme", "oauth2_client_credentials"),
        ({"secrets": {"client_id": "x"}}, "#/secrets/client_secret", "needed"),
        ({"secrets": {"client_id": "x", "client_secret": "y", "pin": "z"}}, "#/secrets/pin", "client_id"),
        ({"secrets": {"client_id": "x", "client_secret": ""}}, "#/secrets/client_secret", ""),
        ({"secrets": {"client_id": "x", "client_secret": {"env": "PING"}}}, "#/secrets/client_secret", "text"),
        ({"options": {"region": "EU"}}, "#/options/region", "'eu'"),
        ({"options": {"colour": "red"}}, "#/options/colour", "no option"),
        ({"options": {"api_url": "https://10.0.0.1"}}, "#/options/api_url", ""),
        ({"options": {"auth_url": "http://169.254.169.254"}}, "#/options/auth_url", ""),
        ({"options": {"region": "e\u0000u"}}, "#/options/region", "NUL"),
        ({"storage": "paper"}, "#/storage", ""),
        ({"extra": 1}, "#/extra", "no such member"),
        ({"storage": "local", "secrets": {"client_id": {"env": "ID"}, "client_secret": {"env": "SEATWISE_ADMIN_KEY"}}},
         "#/secrets/client_secret", "SEATWISE_"),
        ({"storage": "local", "secrets": {"client_id": {"env": "seatwise_admin_key"}, "client_secret": {"env": "P"}}},
         "#/secrets/client_id", "SEATWISE_"),
        ({"storage": "local", "secrets": {"client_id": {"env": "PING_ID"}, "client_secret": {"file": "/etc/passwd"}}},
         "#/secrets/client_secret", "under"),
        ({"storage": "local"}, "#/secrets/client_id", "env"),
    ],
)  # fmt: skip
async def test_what_the_connector_cannot_use_is_named(
    api: Api, changes: dict[str, Any], pointer: str, says: str
) -> None:
    response = await api.post(PATH, json=pingone(**changes))
    errors = {error["pointer"]: error["detail"] for error in assert_problem(response, 422)["errors"]}
    matching = [detail for at, detail in errors.items() if at.startswith(pointer)]
    assert any(says in detail for detail in matching), errors
    assert SECRET not in response.text


async def test_a_private_key_is_read_when_it_is_given(api: Api) -> None:
    body = {
        "name": "okta",
        "connector": "okta",
        "scheme": "oauth2_private_key_jwt",
        "secrets": {"client_id": "abc", "private_key": "no key at all"},
    }
    problem = assert_problem(await api.post(PATH, json=body), 422)
    assert problem["errors"][0]["pointer"] == "#/secrets/private_key"
    assert "no key at all" not in str(problem)


async def test_local_secrets_stay_where_they_are(api: Api) -> None:
    place = api.runtime.settings.secrets_dir / "pingone"
    place.write_text(SECRET)
    body = await made(
        api, storage="local", secrets={"client_id": {"env": "PING_ID"}, "client_secret": {"file": str(place)}}
    )
    assert body["secrets_set"] == ["client_id", "client_secret"]
    assert body["client_id_last4"] is None
    outside = api.runtime.settings.secrets_dir / "link"
    outside.symlink_to("/etc/passwd")
    refused = pingone(storage="local", secrets={"client_id": {"env": "A"}, "client_secret": {"file": str(outside)}})
    assert_problem(await api.post(PATH, json=refused), 422)


async def test_a_merge_patch_changes_what_it_names(api: Api) -> None:
    body = await made(api, owner="ada@example.com", expires_at="2030-01-01T00:00:00+02:00")
    assert body["expires_at"] == "2029-12-31T22:00:00Z"
    location = f"{PATH}/{body['id']}"
    changed = await api.patch(
        location,
        json={"name": "Renamed", "owner": None, "options": {"region": None, "auth_method": "client_secret_basic"}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert changed.status_code == 200
    after = changed.json()
    assert after["name"] == "Renamed"
    assert after["owner"] is None
    assert after["options"] == {"environment_id": ENVIRONMENT, "auth_method": "client_secret_basic"}
    assert after["expires_at"] == body["expires_at"]
    assert after["updated_at"] > body["updated_at"]
    assert (await api.get(location)).json() == after
    event = (await api.get("/v1/audit-events", params={"resource_id": body["id"]})).json()["items"][0]
    assert event["action"] == "credential.updated"
    assert event["before"]["name"] == "PingOne production"
    assert set(event["after"]) == {"name", "owner", "options"}


async def test_new_secrets_replace_the_old_ones_whole(api: Api) -> None:
    body = await made(api)
    location = f"{PATH}/{body['id']}"
    pool = api.runtime.database.pool
    await pool.execute(
        "INSERT INTO vendor_tokens (credential_id, audience, sealed, issued_at) VALUES ($1, 'a', 'x', now())",
        body["id"],
    )
    assert_problem(await api.patch(location, json={"secrets": {"client_secret": "new"}}), 422)
    secrets = {"client_id": "abcd9999", "client_secret": "a-new-secret-value"}
    changed = await api.patch(location, json={"secrets": secrets})
    assert changed.json()["client_id_last4"] == "9999"
    assert await pool.fetchval("SELECT count(*) FROM vendor_tokens WHERE credential_id = $1", body["id"]) == 0
    event = (await api.get("/v1/audit-events", params={"resource_id": body["id"]})).json()["items"][0]
    assert event["after"]["secrets"] == {"client_id": "***", "client_secret": "***"}
    assert "a-new-secret-value" not in str(event)


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"name": None}, "#/name"),
        ({"secrets": None}, "#/secrets"),
        ({"options": None}, "#/options"),
        ({"connector": "okta"}, "#/connector"),
        ({"options": {"region": "EU"}}, "#/options/region"),
    ],
)
async def test_a_patch_that_cannot_be_is_refused(api: Api, patch: dict[str, Any], pointer: str) -> None:
    body = await made(api)
    problem = assert_problem(await api.patch(f"{PATH}/{body['id']}", json=patch), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert (await api.get(f"{PATH}/{body['id']}")).json() == body


async def test_a_stale_change_is_refused(api: Api) -> None:
    created = await api.post(PATH, json=pingone())
    location = created.headers["location"]
    match = {"If-Match": created.headers["etag"]}
    both = await asyncio.gather(*(api.patch(location, json={"name": name}, headers=match) for name in ("one", "two")))
    assert sorted(response.status_code for response in both) == [200, 412]
    assert_problem(await api.delete(location, headers=match), 412)
    assert_problem(await api.patch(location, json={"name": "x"}, headers={"If-Match": f"W/{match['If-Match']}"}), 412)
    assert (await api.patch(location, json={"name": "y"}, headers={"If-Match": "*"})).status_code == 200


async def test_one_in_use_is_not_deleted(api: Api) -> None:
    body = await made(api)
    pool = api.runtime.database.pool
    instance_id = await pool.fetchval(
        "INSERT INTO instances (name, connector, credential_id, sync, mapping, contacts, owner, created_by)"
        " VALUES ('In use', 'pingone', $1, '{}', '[]', '{}', 'x', '{}') RETURNING id",
        body["id"],
    )
    problem = assert_problem(await api.delete(f"{PATH}/{body['id']}"), 409)
    assert problem["instances"] == [{"id": str(instance_id), "name": "In use"}]
    await pool.execute("DELETE FROM instances WHERE id = $1", instance_id)
    assert (await api.delete(f"{PATH}/{body['id']}")).status_code == 204
    assert_problem(await api.get(f"{PATH}/{body['id']}"), 404)
    assert_problem(await api.delete(f"{PATH}/{body['id']}"), 404)
    assert_problem(await api.patch(f"{PATH}/{uuid4()}", json={"name": "x"}), 404)
    assert_problem(await api.post(f"{PATH}/{uuid4()}/check"), 404)


async def test_credentials_are_found_by_connector(api: Api) -> None:
    await made(api)
    okta = {"name": "o", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": "t"}}
    okta_id = (await api.post(PATH, json=okta)).json()["id"]
    items = (await api.get(f"{PATH}?connector=okta")).json()["items"]
    assert [item["id"] for item in items] == [okta_id]
    assert (await api.get(f"{PATH}?connector=fax")).json()["items"] == []


def answering(monkeypatch: pytest.MonkeyPatch, outcome: Check | VendorError) -> None:
    async def check() -> Check:
        if isinstance(outcome, VendorError):
            raise outcome
        return outcome

    @asynccontextmanager
    async def connect(*_args: object, **_more: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(connector=SimpleNamespace(check=check))

    monkeypatch.setattr(credentials, "connect", connect)


async def test_a_check_names_what_is_granted_and_keeps_the_proof(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    body = await made(api)
    location = f"{PATH}/{body['id']}"
    answering(
        monkeypatch, Check(ok=True, tenant="acme", subject="worker", granted=("Environment Admin",), warnings=("w",))
    )
    checked = await api.post(f"{location}/check")
    assert checked.json() == {
        "ok": True,
        "identity": {"tenant": "acme", "subject": "worker"},
        "granted": ["Environment Admin"],
        "missing": [],
        "warnings": ["w"],
        "code": None,
        "detail": "",
    }
    proved = "SELECT proved->>'tenant' FROM credentials WHERE id = $1"
    assert await api.runtime.database.pool.fetchval(proved, body["id"]) == "acme"
    assert (await api.get(location)).json() == body
    answering(monkeypatch, CredentialRefused("The client is unknown."))
    refused = await api.post(f"{location}/check")
    assert refused.status_code == 200
    assert (refused.json()["ok"], refused.json()["code"]) == (False, "credential_refused")
    assert await api.runtime.database.pool.fetchval(proved, body["id"]) == "acme"


async def test_a_check_of_a_vendor_that_is_away_is_an_answer(api: Api) -> None:
    with_nobody_there = {"api_url": "http://127.0.0.1:9", "auth_url": "http://127.0.0.1:9"}
    body = await made(api, options={"region": "eu", "environment_id": ENVIRONMENT, **with_nobody_there})
    checked = await api.post(f"{PATH}/{body['id']}/check")
    assert checked.status_code == 200
    assert (checked.json()["ok"], checked.json()["code"]) == (False, "vendor_unavailable")
    incomplete = await made(api, options={})
    answer = (await api.post(f"{PATH}/{incomplete['id']}/check")).json()
    assert (answer["ok"], answer["code"]) == (False, "invalid_options")
    headers = {"Idempotency-Key": "check"}
    first = await api.post(f"{PATH}/{incomplete['id']}/check", headers=headers)
    again = await api.post(f"{PATH}/{incomplete['id']}/check", headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
