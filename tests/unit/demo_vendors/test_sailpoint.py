"""SailPoint Identity Security Cloud's wire format, as its documents and recordings say."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import msgspec
import pytest

from app.demo.vendors import sailpoint
from app.demo.vendors.sailpoint_tenant import WORKFLOW_ID
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import Serve

TRIGGER = f"/workflows/v1/execute/external/{WORKFLOW_ID}"
READER = {"client_id": sailpoint.CLIENT_ID, "client_secret": sailpoint.CLIENT_SECRET}
STARTER = {"client_id": sailpoint.TRIGGER_CLIENT_ID, "client_secret": sailpoint.TRIGGER_CLIENT_SECRET}


async def ask_token(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await client.post("/oauth/token", data={"grant_type": "client_credentials", **fields})


async def signed_in(client: httpx.AsyncClient, fields: dict[str, str]) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {(await ask_token(client, **fields)).json()['access_token']}"
    return client


async def listed(client: httpx.AsyncClient, path: str, **params: str | int) -> list[dict[str, Any]]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    records: list[dict[str, Any]] = answer.json()
    return records


def by_name(sources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one type, the last name first."""
    return sorted((s for s in sources if s["type"] == kind), key=lambda s: str(s["name"]), reverse=True)


async def test_a_token_is_a_jwt_that_lives_749_seconds(world: World, serve: Serve) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    wrong = await ask_token(client, client_id=sailpoint.CLIENT_ID, client_secret="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    given = (await ask_token(client, **READER)).json()
    assert (given["expires_in"], given["token_type"]) == (749, "bearer")
    payload = given["access_token"].split(".")[1]
    claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["exp"] - claims["iat"] == 749
    assert {"idn:sources:read", "idn:accounts:read"} <= set(claims["scope"].split())
    by_query = await client.post("/oauth/token", params={"grant_type": "client_credentials", **READER})
    assert by_query.status_code == 200
    assert (await ask_token(client, **READER, grant_type="password")).json()["error"] == "unsupported_grant_type"


async def test_sources_are_paged_by_offset_and_counted_when_asked(world: World, serve: Serve) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    await signed_in(client, READER)
    whole = await client.get("/sources/v1", params={"count": "true"})
    sources = whole.json()
    assert whole.headers["X-Total-Count"] == str(len(sources))
    assert {"Okta - production", "Ledgerly - production", "Ledgerly - sandbox", "Employees"} <= {
        s["name"] for s in sources
    }
    parts = [await listed(client, "/sources/v1", limit=4, offset=at) for at in range(0, len(sources), 4)]
    assert [s for part in parts for s in part] == sources
    assert "X-Total-Count" not in (await client.get("/sources/v1")).headers
    names = [s["name"] for s in await listed(client, "/sources/v1", sorters="type,-name")]
    assert names == [s["name"] for kind in sorted({s["type"] for s in sources}) for s in by_name(sources, kind)]
    assert (await client.get("/sources/v1?sorters=shoeSize")).status_code == 400
    assert (await client.get(f"/sources/v1/{sources[3]['id']}")).json() == sources[3]
    assert (await client.get("/sources/v1/none")).status_code == 404
    named = await listed(client, "/sources/v1", filters='name eq "Okta - production"')
    assert [s["name"] for s in named] == ["Okta - production"]
    assert (await client.get("/sources/v1?limit=251")).json()["detailCode"].startswith("400")


async def test_accounts_are_found_by_source_and_native_identity(world: World, serve: Serve) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    await signed_in(client, READER)
    okta, *_ = world.sailpoint.sources
    of_okta = await listed(client, "/accounts/v1", filters=f'sourceId eq "{okta["id"]}"')
    mails = {user["profile"]["email"] for user in world.okta.users}
    assert len(of_okta) < len(mails)
    assert {account["attributes"]["mail"] for account in of_okta} < mails
    assert any(account["nativeIdentity"] not in mails for account in of_okta)
    one, other = of_okta[0], of_okta[1]
    both = f'sourceId eq "{okta["id"]}" and nativeIdentity in ("{one["nativeIdentity"]}", "{other["nativeIdentity"]}")'
    assert await listed(client, "/accounts/v1", filters=both) == [one, other]
    either = f'(id eq "{one["id"]}" or name sw "{other["name"]}") and sourceId eq "{okta["id"]}"'
    assert await listed(client, "/accounts/v1", filters=either) == [one, other]


@pytest.mark.parametrize(
    "text",
    ['mail eq "a"', 'name EQ "a"', "name eq a", 'name eq "a" name eq "b"', "name eq", 'name in ("a"', '(name eq "a"]'],
)
async def test_filters_that_the_tenant_does_not_take_are_refused(world: World, serve: Serve, text: str) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    await signed_in(client, READER)
    answer = await client.get("/accounts/v1", params={"filters": text})
    assert (answer.status_code, answer.json()["detailCode"]) == (400, "400.1 Bad Request Content")
    assert answer.json()["messages"][0]["text"]


async def test_a_trigger_runs_the_workflow_with_its_input(world: World, serve: Serve) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    await signed_in(client, STARTER)
    ran = await client.post(TRIGGER, json={"input": {"rows": [1]}})
    (execution,) = world.sailpoint.executions
    assert (ran.status_code, ran.json()) == (200, {"workflowExecutionId": execution.id})
    assert execution.input == {"rows": [1]}
    tested = await client.post(f"{TRIGGER}/test", json={"input": {"hello": "world"}})
    assert tested.json() == {"payload": {"hello": "world"}}
    assert "X-Deprecated" not in ran.headers
    assert (await client.get(f"/workflow-executions/v1/{execution.id}")).status_code == 403
    await signed_in(client, READER)
    seen = (await client.get(f"/workflow-executions/v1/{execution.id}")).json()
    assert (seen["workflowId"], seen["status"]) == (WORKFLOW_ID, "Completed")
    history = (await client.get(f"/workflow-executions/v1/{execution.id}/history")).json()
    assert history[0]["attributes"]["input"] == {"rows": [1]}
    assert (await client.get("/workflow-executions/v1/none")).status_code == 404


async def test_a_disabled_workflow_answers_well_and_runs_nothing(world: World, serve: Serve) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    await signed_in(client, STARTER)
    world.sailpoint.workflows[WORKFLOW_ID].enabled = False
    idle = await client.post(TRIGGER, json={"input": {}})
    assert (idle.status_code, set(idle.json())) == (200, {"message"})
    assert world.sailpoint.executions == []


@pytest.mark.parametrize("generation", sailpoint.DEPRECATED)
async def test_the_old_generations_still_answer_and_say_that_they_are_old(
    world: World, serve: Serve, generation: str
) -> None:
    _, client = await serve(sailpoint.SailPointVendor(world))
    await signed_in(client, STARTER)
    path = f"/{generation}/workflows/execute/external/{WORKFLOW_ID}"
    answers = [
        await client.post(path, json={"input": {}}),
        await client.post(f"{path}/test", json={"input": {}}),
        await client.post(path, json={"rows": []}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert {answer.headers["X-Deprecated"] for answer in answers} == {"true"}


async def test_refusals_have_the_shapes_of_the_tenant(world: World, serve: Serve) -> None:
    vendor = sailpoint.SailPointVendor(world, limits={"gateway": (6, 30.0)})
    _, client = await serve(vendor)
    nobody = await client.post(TRIGGER, json={"input": {}})
    assert (nobody.status_code, set(nobody.json())) == (401, {"error"})
    await signed_in(client, READER)
    reader = await client.post(TRIGGER, json={"input": {}})
    await signed_in(client, STARTER)
    unknown = await client.post("/workflows/v1/execute/external/none", json={"input": {}})
    bare = await client.post(TRIGGER, content=b"[1]")
    assert [answer.status_code for answer in (reader, unknown, bare)] == [403, 404, 400]
    for answer in (reader, unknown, bare):
        assert set(answer.json()) == {"detailCode", "trackingId", "messages", "causes"}
        assert answer.json()["detailCode"].startswith(str(answer.status_code))
    vendor.forget_tokens()
    assert (await client.post(TRIGGER, json={"input": {}})).status_code == 401
    await signed_in(client, STARTER)
    assert (await client.post(TRIGGER, json={"input": {}})).status_code == 200
    busy = await client.post(TRIGGER, json={"input": {}})
    assert (busy.status_code, set(busy.json())) == (429, {"message"})
    assert 0 < int(busy.headers["Retry-After"]) <= 30
    assert world.sailpoint.tokens.issued == 3
