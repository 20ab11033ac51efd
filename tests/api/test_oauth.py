"""Tokens for clients that expect OAuth 2.0."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.access import tokens
from app.access.tokens import Tokens
from app.api.oauth import FAILURES, Failures
from app.core.clock import now
from app.main import create_app
from tests.api.problems import assert_problem
from tests.conftest import Api

GRANT = {"grant_type": "client_credentials"}


async def a_key(api: Api, role: str = "viewer") -> dict[str, Any]:
    body: dict[str, Any] = (await api.post("/v1/api-keys", json={"name": "client", "role": role})).json()
    return body


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@pytest.mark.parametrize("where", ["body", "basic"])
async def test_a_token_acts_as_its_key(api: Api, where: str) -> None:
    key = await a_key(api)
    nobody = api.anonymous()
    client = {"client_id": key["id"], "client_secret": key["key"]}
    response = await nobody.post(
        "/oauth/token",
        data=GRANT | ({**client, "scope": "whatever"} if where == "body" else {}),
        headers=basic(key["id"], key["key"]) if where == "basic" else {},
    )
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    token = response.json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
    bearer = api.with_key(token["access_token"])
    assert (await bearer.get("/v1/connectors")).status_code == 200
    assert_problem(await bearer.get("/v1/api-keys"), 403)
    await api.delete(f"/v1/api-keys/{key['id']}")
    assert_problem(await bearer.get("/v1/connectors"), 401)


async def test_a_token_ends_with_its_key(api: Api) -> None:
    key = await a_key(api)
    minted = await api.anonymous().post("/oauth/token", data=GRANT, headers=basic(key["id"], key["key"]))
    bearer = api.with_key(minted.json()["access_token"])
    assert (await bearer.get("/v1/connectors")).status_code == 200
    await api.runtime.database.pool.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", key["id"])
    assert_problem(await bearer.get("/v1/connectors"), 401)


async def test_a_token_of_another_replica_is_known_and_an_old_or_altered_one_is_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await a_key(api)
    replica = replace(api, app=create_app(api.runtime))
    minted = await Tokens(replica.runtime.database, replica.runtime.vault).mint(key["id"])
    assert (await api.with_key(minted).get("/v1/connectors")).status_code == 200
    head, body, signature = minted.split(".")
    altered = f"{head}.{body}.{'A' * len(signature)}"
    assert_problem(await api.with_key(altered).get("/v1/connectors"), 401)
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert_problem(await api.with_key(f"{unsigned}.{body}.").get("/v1/connectors"), 401)
    monkeypatch.setattr(tokens, "now", lambda: now() + timedelta(minutes=3))
    by_a_fast_clock = await Tokens(api.runtime.database, api.runtime.vault).mint(key["id"])
    assert (await api.with_key(by_a_fast_clock).get("/v1/connectors")).status_code == 200
    monkeypatch.setattr(tokens, "now", lambda: now() - timedelta(hours=2))
    old = await Tokens(api.runtime.database, api.runtime.vault).mint(key["id"])
    assert_problem(await api.with_key(old).get("/v1/connectors"), 401)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, 400, "invalid_request"),
        (GRANT, 401, "invalid_client"),
        (GRANT | {"client_id": "\x00", "client_secret": "\x00"}, 401, "invalid_client"),
        (GRANT | {"client_id": "no-uuid", "client_secret": "x"}, 401, "invalid_client"),
    ],
)
async def test_errors_have_the_shape_of_oauth(api: Api, form: dict[str, Any], status: int, error: str) -> None:
    response = await api.anonymous().post("/oauth/token", data=form)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert ("www-authenticate" in response.headers) == (status == 401)


async def test_the_secret_of_another_key_is_refused(api: Api) -> None:
    one, other = await a_key(api), await a_key(api)
    response = await api.anonymous().post("/oauth/token", data=GRANT, headers=basic(one["id"], other["key"]))
    assert response.json()["error"] == "invalid_client"
    broken = await api.anonymous().post("/oauth/token", data=GRANT, headers={"Authorization": "Basic %%%"})
    assert broken.json()["error"] == "invalid_client"


@pytest.mark.parametrize("form", [{"client_secret": "x"}, {"client_id": "another"}])
async def test_two_ways_of_saying_who_one_is_are_one_too_many(api: Api, form: dict[str, str]) -> None:
    key = await a_key(api)
    response = await api.anonymous().post("/oauth/token", data=GRANT | form, headers=basic(key["id"], key["key"]))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    named = GRANT | {"client_id": key["id"]}
    assert (
        await api.anonymous().post("/oauth/token", data=named, headers=basic(key["id"], key["key"]))
    ).status_code == 200


async def test_after_twenty_failures_a_client_waits_while_its_key_works(api: Api) -> None:
    key = await a_key(api)
    nobody = api.anonymous()
    answers = [await nobody.post("/oauth/token", data=GRANT, headers=basic(key["id"], "wrong")) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await api.with_key(key["key"]).get("/v1/connectors")).status_code == 200
    other = await a_key(api)
    assert (await nobody.post("/oauth/token", data=GRANT, headers=basic(other["id"], other["key"]))).status_code == 200


def test_of_endlessly_many_clients_the_oldest_is_forgotten() -> None:
    failures = Failures()
    for _ in range(FAILURES):
        failures.note("the first")
    assert failures.wait_s("the first") > 0
    for number in range(10_000):
        failures.note(f"client {number}")
    assert failures.wait_s("the first") == 0
