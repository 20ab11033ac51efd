"""What reviewers are told of an account, and the same signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import KeySet

from app.core.clock import midnight
from tests.api.books import days_ago
from tests.api.problems import assert_problem
from tests.certifications.isc import Tenant, account, running
from tests.certifications.world import World
from tests.conftest import Api

ACTIVITY = "/v1/certifications/activity"
EVIDENCE = "/v1/certifications/evidence"
ITEM = {
    "account", "status", "windows", "first_active_at", "last_active_at", "integration", "recommendation", "reason",
}  # fmt: skip


@pytest_asyncio.fixture
async def world(api: Api) -> AsyncIterator[World]:
    """The source `s-…` is mapped to the application that is covered for 100 days."""
    async with running(Tenant()) as tenant:
        made = await World.make(api, tenant)
        await made.map(tenant.source(f"s-{uuid4()}", "Ledgerly"))
        yield made


def source(world: World) -> str:
    return str(world.tenant.sources[0]["id"])


async def ask(world: World, *accounts: str, **more: Any) -> list[dict[str, Any]]:
    viewer = await world.api.as_role("viewer")
    answer = await viewer.post(ACTIVITY, json={"source_id": source(world), "accounts": list(accounts), **more})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    assert [item["account"] for item in items] == list(accounts)
    return items


async def test_use_is_kept_disuse_revoked_and_the_rest_reviewed(world: World) -> None:
    books, used = world.books, days_ago(2, 40, 41)
    await books.account(world.application, "ada", email="Ada@example.com", used=used)
    await books.account(world.application, "alan", username="ALAN", used=days_ago(95))
    ada, alan, nobody = await ask(world, "ada@EXAMPLE.com", "alan", "nobody@example.com")
    assert set(ada) == ITEM
    assert (ada["status"], ada["recommendation"], ada["integration"]) == ("found", "keep", "sso")
    assert ada["windows"] == {
        "30d": {"days_active": 1, "covered_days": 30, "usage": "used"},
        "60d": {"days_active": 3, "covered_days": 60, "usage": "used"},
        "90d": {"days_active": 3, "covered_days": 90, "usage": "used"},
    }
    assert ada["first_active_at"] == midnight(used[2]).isoformat().replace("+00:00", "Z")
    assert ada["last_active_at"] == (midnight(used[0]) + timedelta(hours=9)).isoformat().replace("+00:00", "Z")
    assert ada["reason"] == f"Used on 3 days of the last 90; last on {used[0]}."
    assert (alan["status"], alan["recommendation"]) == ("found", "revoke")
    assert alan["windows"]["90d"] == {"days_active": 0, "covered_days": 90, "usage": "unused"}
    assert alan["reason"].startswith("Not used in the last 90 days, all of which were observed")
    assert (nobody["status"], nobody["recommendation"], nobody["integration"]) == ("not_found", "review", None)
    assert nobody["windows"]["30d"] == {"days_active": None, "covered_days": 0, "usage": "unknown"}


async def test_the_longest_window_decides_and_unknown_is_never_unused(world: World) -> None:
    await world.books.account(world.application, "ada", email="ada@example.com", used=days_ago(50))
    (short,) = await ask(world, "ada@example.com", windows=["30d", "7d"])
    assert (short["recommendation"], list(short["windows"])) == ("revoke", ["30d", "7d"])
    (longer,) = await ask(world, "ada@example.com", windows=["30d", "60d"])
    assert (longer["recommendation"], longer["windows"]["30d"]["usage"]) == ("keep", "unused")
    await world.books.account(world.application, "alan", email="alan@example.com")
    (beyond,) = await ask(world, "alan@example.com", windows=["30d", "120d"])
    assert (beyond["recommendation"], beyond["windows"]["120d"]["usage"]) == ("review", "unknown")
    assert beyond["windows"]["30d"]["usage"] == "unused"
    assert "100 of the last 120 days" in beyond["reason"]


async def test_an_instance_that_observes_nothing_says_nothing(world: World) -> None:
    blind = await world.books.instance(f"Blind {uuid4()}")
    application = await world.books.application(blind, "Ledgerly", kind="integrated", key="", vendor_id=None)
    other = world.tenant.source(f"b-{uuid4()}", "Ledgerly direct")
    await world.map(other, application_id=str(application), instance_id=str(blind))
    await world.books.account(application, "ada", email="ada@example.com")
    (item,) = (await world.api.get(ACTIVITY, params={"source_id": other, "account": "ada@example.com"})).json()["items"]
    assert (item["integration"], item["recommendation"]) == ("direct", "review")
    assert item["windows"]["90d"] == {"days_active": None, "covered_days": 0, "usage": "unknown"}
    assert "not observed" in item["reason"]


async def test_of_several_applications_the_best_evidence_counts(world: World) -> None:
    books = world.books
    direct_instance = await books.instance(f"Direct {uuid4()}", covered=20)
    direct = await books.application(direct_instance, "Ledgerly", kind="integrated", key="", vendor_id=None)
    await world.map(source(world), application_id=str(direct), instance_id=str(direct_instance))
    for application, days in ((world.application, ()), (direct, days_ago(1, 2))):
        await books.account(application, "ada", email="ada@example.com", used=days)
    await books.account(world.application, "alan", email="alan@example.com")
    await books.account(direct, "alan", email="alan@example.com")
    await books.account(world.application, "grace", email="grace@example.com")
    ada, alan, grace = await ask(world, "ada@example.com", "alan@example.com", "grace@example.com")
    assert (ada["recommendation"], ada["integration"]) == ("keep", "direct")
    assert ada["windows"]["30d"] == {"days_active": 2, "covered_days": 20, "usage": "used"}
    assert (alan["recommendation"], alan["windows"]["90d"]["usage"]) == ("review", "unknown")
    assert (grace["recommendation"], grace["integration"]) == ("revoke", "sso")


async def test_an_opaque_native_identity_is_found_by_what_isc_says_of_it(world: World) -> None:
    world.tenant.accounts[source(world)] = [
        account(1, "41263", "Testy.Testerson"),
        account(2, "77", "someone", "grace@example.com"),
    ]
    await world.books.account(world.application, "Testy", username="testy.testerson", used=days_ago(3))
    await world.books.account(world.application, "Grace", username="ghopper", email="Grace@example.com")
    assert (await ask(world, "41263"))[0]["status"] == "not_found"
    await world.read(source(world))
    asked = len(world.tenant.asked)
    testy, grace, by_mail = await ask(world, "41263", "77", "grace@example.com")
    assert (testy["status"], testy["recommendation"]) == ("found", "keep")
    assert (grace["status"], grace["recommendation"]) == ("found", "revoke")
    assert by_mail == {**grace, "account": "grace@example.com"}
    assert len(world.tenant.asked) == asked


async def test_an_unmapped_source_and_an_instance_that_leaves_say_so(world: World) -> None:
    answer = await world.api.get(ACTIVITY, params={"source_id": "nowhere", "account": ["a", "b"], "window": "7d"})
    body = answer.json()
    assert set(body) == {"source_id", "source_name", "as_of", "items"}
    assert body["source_name"] is None
    assert [(item["account"], item["status"], item["recommendation"]) for item in body["items"]] == [
        ("a", "unmapped", "review"),
        ("b", "unmapped", "review"),
    ]
    assert list(body["items"][0]["windows"]) == ["7d"]
    await world.books.database.pool.execute("UPDATE instances SET leaving = true WHERE id = $1", world.instance)
    assert (await ask(world, "ada"))[0]["status"] == "unmapped"


async def test_get_and_post_say_the_same(world: World) -> None:
    await world.books.account(world.application, "ada", email="ada@example.com", used=days_ago(2))
    asked = {"source_id": source(world), "account": "ada@example.com"}
    got = (await world.api.get(ACTIVITY, params=asked)).json()
    assert got["items"] == await ask(world, "ada@example.com")
    assert got["source_name"] == "Ledgerly"


async def test_a_thousand_accounts_are_answered_at_once(world: World) -> None:
    names = [f"user{number}@example.com" for number in range(1000)]
    await world.books.account(world.application, "first", email=names[0], used=days_ago(1))
    items = await ask(world, *names)
    assert [item["status"] for item in items] == ["found"] + ["not_found"] * 999


async def test_bad_questions_are_told(world: World) -> None:
    api = world.api

    async def pointer(**more: Any) -> str:
        body = {"source_id": source(world), "accounts": ["a"], **more}
        (error,) = assert_problem(await api.post(ACTIVITY, json=body), 422)["errors"]
        return str(error["pointer"])

    assert await pointer(accounts=[]) == "#/accounts"
    assert await pointer(accounts=["a"] * 1001) == "#/accounts"
    assert await pointer(accounts=[""]) == "#/accounts/0"
    assert await pointer(windows=["0d"]) == "#/windows/0"
    assert await pointer(windows=[]) == "#/windows"
    assert await pointer(since="2026-01-01") == "#/since"
    assert_problem(await api.get(ACTIVITY, params={"source_id": "s"}), 422)
    assert_problem(await api.get(ACTIVITY, params={"account": "s"}), 422)
    assert_problem(await api.get(ACTIVITY, params={"source_id": "s", "account": "a", "window": "1y"}), 422)
    assert_problem(await api.anonymous().post(ACTIVITY, json={"source_id": "s", "accounts": ["a"]}), 401)
    assert_problem(await api.anonymous().post(EVIDENCE, json={"source_id": "s", "accounts": ["a"]}), 401)
    assert_problem(await api.post(EVIDENCE, json={"source_id": "s"}), 422)


async def test_evidence_is_the_answer_signed(world: World) -> None:
    await world.books.account(world.application, "ada", email="ada@example.com", used=days_ago(2))
    viewer = await world.api.as_role("viewer")
    body = {"source_id": source(world), "accounts": ["ada@example.com", "x"], "windows": ["30d"]}
    answer = await viewer.post(EVIDENCE, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jose")
    published = (await world.api.anonymous().get("/.well-known/jwks.json")).json()
    signed = jws.deserialize_compact(answer.content, KeySet.import_key_set(published), algorithms=["ES256"])
    header, payload = signed.headers(), msgspec.json.decode(signed.payload)
    assert (header["alg"], header["kid"]) == ("ES256", published["keys"][0]["kid"])
    assert (payload["issuer"], payload["issued_at"] >= payload["as_of"]) == ("http://127.0.0.1:8000", True)
    assert payload["items"] == await ask(world, "ada@example.com", "x", windows=["30d"])
    assert set(payload) == {"source_id", "source_name", "as_of", "items", "issued_at", "issuer"}


async def test_asking_leaves_no_trace_of_change(world: World) -> None:
    before = await world.api.runtime.database.pool.fetchval("SELECT count(*) FROM audit_events")
    await ask(world, "a")
    assert await world.api.runtime.database.pool.fetchval("SELECT count(*) FROM audit_events") == before
