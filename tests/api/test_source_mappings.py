"""Sources of ISC tied to applications: pairs, environments, suggestions, trials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from tests.api.problems import assert_problem
from tests.certifications.isc import Tenant, account, refusal, running
from tests.certifications.world import MAPPINGS, World
from tests.conftest import Api

MEMBERS = {
    "id", "created_at", "updated_at", "tenant_id", "source_id", "source_name", "source_type", "source_environment",
    "application_id", "application", "instance_id", "instance", "allow_environment_mismatch", "environment_mismatch",
    "accounts_read_at", "failure", "created_by",
}  # fmt: skip


@pytest_asyncio.fixture
async def world(api: Api) -> AsyncIterator[World]:
    async with running(Tenant()) as tenant:
        tenant.source("s1", "Ledgerly")
        yield await World.make(api, tenant)


async def set_environment(world: World, environment: str) -> None:
    await world.books.database.pool.execute(
        "UPDATE instances SET environment = $2 WHERE id = $1", world.instance, environment
    )


async def test_a_source_is_mapped_read_back_and_unmapped(api: Api, world: World) -> None:
    answer = await api.post(MAPPINGS, json=world.pair("s1"))
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{MAPPINGS}/{made['id']}")
    assert set(made) == MEMBERS
    assert (made["source_name"], made["source_type"], made["application"]) == ("Ledgerly", "DelimitedFile", "Ledgerly")
    assert (made["source_environment"], made["environment_mismatch"], made["accounts_read_at"]) == (None, False, None)
    viewer = await api.as_role("viewer")
    shown = await viewer.get(f"{MAPPINGS}/{made['id']}")
    assert shown.json() == made
    same = await viewer.get(f"{MAPPINGS}/{made['id']}", headers={"If-None-Match": shown.headers["etag"]})
    assert same.status_code == 304
    listed = (await viewer.get(f"{MAPPINGS}?tenant_id={world.tenant_id}&source_id=s1&count=true")).json()
    assert (listed["items"], listed["total"]) == ([made], 1)
    assert (await viewer.get(f"{MAPPINGS}?application_id={uuid4()}")).json()["items"] == []
    gone = await api.delete(f"{MAPPINGS}/{made['id']}", headers={"If-Match": shown.headers["etag"]})
    assert gone.status_code == 204
    assert_problem(await viewer.get(f"{MAPPINGS}/{made['id']}"), 404)
    events = (await api.get(f"/v1/audit-events?resource_id={made['id']}")).json()["items"]
    assert [event["action"] for event in events] == ["source_mapping.deleted", "source_mapping.created"]


async def test_a_pair_is_mapped_once_and_a_source_may_have_several(api: Api, world: World) -> None:
    made = await world.map("s1")
    again = assert_problem(await api.post(MAPPINGS, json=world.pair("s1")), 409)
    assert again["source_mapping_id"] == made["id"]
    other = await world.books.application(world.instance, "Ledgerly Spain")
    assert (await world.map("s1", application_id=str(other)))["application"] == "Ledgerly Spain"


async def test_production_does_not_meet_staging_unless_that_is_allowed(api: Api, world: World) -> None:
    await set_environment(world, "production")
    world.tenant.source("s2", "Ledgerly Staging")
    refused = assert_problem(await api.post(MAPPINGS, json=world.pair("s2")), 409)
    assert "allow_environment_mismatch" in refused["detail"]
    assert refused["errors"] == [{"pointer": "#/source_environment", "detail": "staging is not production."}]
    made = await world.map("s2", allow_environment_mismatch=True)
    assert (made["environment_mismatch"], made["source_environment"]) == (True, "staging")
    path = f"{MAPPINGS}/{made['id']}"
    assert_problem(await api.patch(path, json={"allow_environment_mismatch": False}), 409)
    said = await api.patch(path, json={"allow_environment_mismatch": False, "source_environment": "production"})
    assert (said.status_code, said.json()["environment_mismatch"]) == (200, False)
    assert_problem(await api.patch(path, json={"source_environment": None}), 409)
    assert (await api.get(path)).json()["source_environment"] == "production"
    assert (await world.map("s1"))["source_environment"] is None


async def test_a_patch_keeps_to_its_members_and_its_etag(api: Api, world: World) -> None:
    made = await world.map("s1")
    path = f"{MAPPINGS}/{made['id']}"
    assert_problem(await api.patch(path, json={"source_id": "s2"}), 422)
    assert_problem(await api.patch(path, json={"source_environment": "qa"}), 422)
    assert_problem(await api.patch(path, json={"allow_environment_mismatch": None}), 422)
    stale = await api.patch(path, json={"source_environment": "staging"}, headers={"If-Match": '"old"'})
    assert_problem(stale, 412)


async def test_what_does_not_exist_is_named(api: Api, world: World) -> None:
    stranger = await world.books.application(await world.books.instance(f"Other {uuid4()}"), "Other")

    async def pointer(**more: Any) -> str:
        problem = assert_problem(await api.post(MAPPINGS, json=world.pair("s1") | more), 422)
        (error,) = problem["errors"]
        return str(error["pointer"])

    assert await pointer(tenant_id=str(uuid4())) == "#/tenant_id"
    assert await pointer(instance_id=str(uuid4())) == "#/instance_id"
    assert await pointer(application_id=str(stranger)) == "#/application_id"
    assert await pointer(source_id="gone") == "#/source_id"
    assert await pointer(source_id="a b") == "#/source_id"
    assert await pointer(colour="red") == "#/colour"
    assert_problem(await api.get(f"{MAPPINGS}/{uuid4()}"), 404)


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_only_admins_map(api: Api, world: World, role: Any) -> None:
    made = await world.map("s1")
    caller = await api.as_role(role)
    assert_problem(await caller.post(MAPPINGS, json=world.pair("s1")), 403)
    assert_problem(await caller.patch(f"{MAPPINGS}/{made['id']}", json={}), 403)
    assert_problem(await caller.delete(f"{MAPPINGS}/{made['id']}"), 403)
    assert_problem(await api.anonymous().get(MAPPINGS), 401)
    tried = await caller.post(f"{MAPPINGS}/{made['id']}/test")
    assert tried.status_code == (403 if role == "viewer" else 200)


async def test_a_tenant_with_mappings_is_not_deleted(api: Api, world: World) -> None:
    await world.map("s1")
    problem = assert_problem(await api.delete(f"/v1/credentials/{world.tenant_id}"), 409)
    assert "Ledgerly" in problem["detail"]


async def test_mappings_go_with_their_instance(api: Api, world: World) -> None:
    made = await world.map("s1")
    await world.books.database.pool.execute("DELETE FROM instances WHERE id = $1", world.instance)
    assert_problem(await api.get(f"{MAPPINGS}/{made['id']}"), 404)


async def test_a_trial_tells_how_many_accounts_the_source_knows(api: Api, world: World) -> None:
    made = await world.map("s1")
    path = f"{MAPPINGS}/{made['id']}/test"
    operator = await api.as_role("operator")
    empty = (await operator.post(path)).json()
    assert (empty["sampled"], empty["status"]) == (0, "failure")
    assert "no account with a seat" in empty["detail"]
    for name in ("ada", "alan", "grace"):
        await world.books.account(world.application, name, username=name, email=f"{name}@example.com")
    await world.books.account(world.application, "gone", email="gone@example.com", seat="none")
    world.tenant.accounts["s1"] = [account(1, "41263", "ADA"), account(2, "x", "y", "Alan@Example.com")]
    tried = (await operator.post(path, json={"sample": 10})).json()
    assert (tried["sampled"], tried["found"], tried["status"], tried["missing"]) == (3, 2, "partial", ["grace"])
    world.tenant.accounts["s1"].append(account(3, "grace"))
    assert (await operator.post(path, json={"sample": 3})).json()["status"] == "success"
    assert (await operator.post(path, json={"sample": 1})).json()["sampled"] == 1
    assert_problem(await operator.post(path, json={"sample": 0}), 422)
    assert_problem(await operator.post(f"{MAPPINGS}/{uuid4()}/test"), 404)


async def test_a_trial_says_when_the_source_cannot_be_read(api: Api, world: World) -> None:
    made = await world.map("s1")
    await world.books.account(world.application, "ada", username="ada")
    world.tenant.fault = refusal(403, "403 Forbidden", "The server refuses to authorize it.")
    tried = (await api.post(f"{MAPPINGS}/{made['id']}/test")).json()
    assert (tried["sampled"], tried["status"]) == (0, "failure")
    assert "refuses to authorize" in tried["detail"]
    failure = (await api.get(f"{MAPPINGS}/{made['id']}")).json()["failure"]
    assert failure["code"] == "insufficient_permissions"
    world.tenant.fault = None
    world.tenant.accounts["s1"] = [account(1, "ada")]
    assert (await api.post(f"{MAPPINGS}/{made['id']}/test")).json()["status"] == "success"
    healed = (await api.get(f"{MAPPINGS}/{made['id']}")).json()
    assert healed["failure"] is None
    assert healed["accounts_read_at"] is not None
    world.tenant.fault = refusal(403, "403 Forbidden", "No more.")
    kept = (await api.post(f"{MAPPINGS}/{made['id']}/test")).json()
    assert (kept["status"], kept["found"]) == ("success", 1)
    assert "Judged by the source's accounts of" in kept["detail"]


async def test_likely_pairs_are_suggested_best_first(api: Api, world: World) -> None:
    books, tenant = world.books, world.tenant
    word = uuid4().hex[:8]
    production = await books.instance(f"{word} production", covered=3)
    await books.database.pool.execute("UPDATE instances SET environment = 'production' WHERE id = $1", production)
    same = await books.application(production, f"{word} Desk")
    overlap = await books.application(production, f"Desk of {word} people in Spain")
    unlike = await books.application(production, f"Fax {uuid4().hex[:8]}")
    tenant.source("near", f"{word} desk - Production")
    tenant.source("far", f"{word} Desk Sandbox")
    path = f"{MAPPINGS}/suggestions?tenant_id={world.tenant_id}"
    viewer = await api.as_role("viewer")
    listed = (await viewer.get(f"{path}&count=true")).json()
    mine = [item for item in listed["items"] if item["source_id"] == "near"]
    assert [item["application_id"] for item in mine] == [str(same), str(overlap)]
    assert [item["score"] for item in listed["items"]] == sorted((i["score"] for i in listed["items"]), reverse=True)
    assert mine[0]["score"] == 0.87
    assert mine[0]["reason"].endswith("Both are production.")
    assert set(mine[0]) == {"source_id", "source_name", "application_id", "instance_id", "score", "reason"}
    assert not [item for item in listed["items"] if item["source_id"] == "far"]
    assert str(unlike) not in {item["application_id"] for item in listed["items"]}
    seen, next_path = [], f"{path}&limit=1"
    while next_path:
        answer = await viewer.get(next_path)
        seen += answer.json()["items"]
        next_path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == listed["items"]
    await world.map("near", application_id=str(same), instance_id=str(production))
    after = (await viewer.get(path)).json()["items"]
    assert [item["application_id"] for item in after if item["source_id"] == "near"] == [str(overlap)]
    assert_problem(await viewer.get(f"{MAPPINGS}/suggestions?tenant_id={uuid4()}"), 404)
    assert_problem(await viewer.get(f"{MAPPINGS}/suggestions"), 422)


async def test_names_of_two_environments_are_no_pair(api: Api, world: World) -> None:
    word = uuid4().hex[:8]
    sandbox = await world.books.application(world.instance, f"{word} Sandbox")
    live = await world.books.application(world.instance, f"{word} Production")
    world.tenant.source("live", f"{word} - production")
    items = (await api.get(f"{MAPPINGS}/suggestions?tenant_id={world.tenant_id}")).json()["items"]
    paired = {item["application_id"] for item in items if item["source_id"] == "live"}
    assert str(live) in paired
    assert str(sandbox) not in paired


async def test_the_catalogue_and_the_kind_of_connector_suggest_too(api: Api, world: World) -> None:
    books, tenant, pool = world.books, world.tenant, world.books.database.pool
    entry = UUID(str(await pool.fetchval("SELECT id FROM catalog WHERE key = 'salesforce'")))
    crm = await books.application(world.instance, "Customer book", catalog_id=entry)
    tenant.source("crm", "Salesforce (EU)")
    direct = await books.application(world.instance, "Okta of ours", kind="integrated", key="", vendor_id=None)
    tenant.source("directory", "Staff", type="Okta")
    items = (await api.get(f"{MAPPINGS}/suggestions?tenant_id={world.tenant_id}")).json()["items"]
    found = {(item["source_id"], item["application_id"]): item["reason"] for item in items}
    assert ("crm", str(crm)) in found
    assert "connector is Okta" in found["directory", str(direct)]
