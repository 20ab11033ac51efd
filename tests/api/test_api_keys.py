"""API keys: made once, shown once, revoked at once; and the conventions of §3 on the plainest resource."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.core.clock import now
from tests.api.problems import assert_problem
from tests.conftest import Api

KEYS = "/v1/api-keys"


async def test_a_key_is_shown_once_and_works(api: Api) -> None:
    made = await api.post(KEYS, json={"name": "script", "role": "viewer", "expires_at": None})
    assert made.status_code == 201
    body = made.json()
    assert body["key"].startswith("sw_")
    assert len(body["key"]) == 46
    assert made.headers["location"] == f"{KEYS}/{body['id']}"
    read = await api.get(made.headers["location"])
    assert read.json() == {name: value for name, value in body.items() if name != "key"}
    assert read.headers["etag"] == made.headers["etag"]
    assert (await api.with_key(body["key"]).get("/v1/connectors")).status_code == 200
    kept = await api.runtime.database.pool.fetchval("SELECT api_keys::text FROM api_keys WHERE id = $1", body["id"])
    assert body["key"] not in kept


async def test_a_revoked_key_ends_at_once(api: Api) -> None:
    body = (await api.post(KEYS, json={"name": "leaver", "role": "admin"})).json()
    gone = await api.delete(f"{KEYS}/{body['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    refused = await api.with_key(body["key"]).get("/v1/connectors")
    assert_problem(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert_problem(await api.get(f"{KEYS}/{body['id']}"), 404)
    assert_problem(await api.delete(f"{KEYS}/{body['id']}"), 404)


async def test_an_expired_key_is_refused(api: Api) -> None:
    soon = (now() + timedelta(hours=1)).isoformat()
    body = (await api.post(KEYS, json={"name": "short", "role": "viewer", "expires_at": soon})).json()
    assert (await api.with_key(body["key"]).get("/v1/connectors")).status_code == 200
    await api.runtime.database.pool.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", body["id"])
    assert_problem(await api.with_key(body["key"]).get("/v1/connectors"), 401)


async def test_the_last_use_is_noted(api: Api) -> None:
    body = (await api.post(KEYS, json={"name": "used", "role": "viewer"})).json()
    assert body["last_used_at"] is None
    await api.with_key(body["key"]).get("/v1/connectors")
    first = (await api.get(f"{KEYS}/{body['id']}")).json()["last_used_at"]
    assert first is not None
    await api.with_key(body["key"]).get("/v1/connectors")
    assert (await api.get(f"{KEYS}/{body['id']}")).json()["last_used_at"] == first


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_only_an_admin_handles_keys(api: Api, role: str) -> None:
    lesser = await api.as_role(role)  # type: ignore[arg-type]  # one of the roles
    for response in (
        await lesser.get(KEYS),
        await lesser.post(KEYS, json={"name": "x", "role": "admin"}),
        await lesser.delete(f"{KEYS}/{uuid4()}"),
        await lesser.get("/v1/audit-events"),
    ):
        assert "admin" in assert_problem(response, 403)["detail"]


async def test_nobody_gets_in_without_a_key(api: Api) -> None:
    for headers in (
        {},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer eyJ.x.y"},
    ):
        assert_problem(await api.anonymous().get(KEYS, headers=headers), 401)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "viewer"}, "#/name"),
        ({"name": "", "role": "viewer"}, "#/name"),
        ({"name": " x", "role": "viewer"}, "#/name"),
        ({"name": "a\u0000b", "role": "viewer"}, "#/name"),
        ({"name": "x", "role": "root"}, "#/role"),
        ({"name": "x", "role": "viewer", "colour": "red"}, "#/colour"),
        ({"name": "x", "role": "viewer", "a/b~": 1}, "#/a~1b~0"),
        ({"name": "x", "role": "viewer", "email": "nobody"}, "#/email"),
        ({"name": "x", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"name": "x", "role": "viewer", "expires_at": "2030-01-01"}, "#/expires_at"),
        ({"name": "x", "role": "viewer", "expires_at": 1893456000}, "#/expires_at"),
        ({"name": "x", "role": "viewer", "expires_at": "9999-12-31T23:59:59-14:00"}, "#/expires_at"),
        ([], "#"),
    ],
)
async def test_a_bad_field_is_named(api: Api, body: object, pointer: str) -> None:
    problem = assert_problem(await api.post(KEYS, json=body), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]], problem


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b"[" * 5000,
        b"1" * 5000,
        b'{"a":"\xed\xa0\x80"}',
        b'"\\ud800"',
    ],
)
async def test_a_body_that_is_no_usable_json_is_a_422(api: Api, content: bytes) -> None:
    response = await api.post(KEYS, content=content, headers={"Content-Type": "application/json"})
    assert_problem(response, 422)


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/merge-patch+json", "", "application/x-www-form-urlencoded"]
)
async def test_another_media_type_is_a_415(api: Api, media_type: str) -> None:
    response = await api.post(KEYS, content=b'{"name": "x", "role": "viewer"}', headers={"Content-Type": media_type})
    assert_problem(response, 415)


async def test_a_charset_is_no_other_media_type(api: Api) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response = await api.post(KEYS, content=b'{"name": "x", "role": "viewer"}', headers=headers)
    assert response.status_code == 201


async def test_a_list_shows_newest_first_and_pages_to_its_end(api: Api) -> None:
    made = [(await api.post(KEYS, json={"name": f"page {n}", "role": "viewer"})).json()["id"] for n in range(5)]
    seen: list[str] = []
    path = f"{KEYS}?limit=2&count=true"
    while path:
        response = await api.get(path)
        body = response.json()
        assert body["total"] >= 5
        seen += [item["id"] for item in body["items"]]
        path = response.links["next"]["url"] if "next" in response.links else ""
        assert bool(path) == (body["next_cursor"] is not None)
    assert [key for key in seen if key in made] == made[::-1]
    assert len(seen) == len(set(seen)) == body["total"]
    assert "total" not in (await api.get(KEYS)).json()


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
async def test_a_list_can_be_sorted(api: Api, sort: str) -> None:
    for name in ("Beta", "alpha", "alpha", "Gamma"):
        await api.post(KEYS, json={"name": name, "role": "viewer"})
    field = sort.lstrip("-")
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"sort": sort, "limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(KEYS, params=params)).json()
        found += [item[field].lower() for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == sorted(found, reverse=sort.startswith("-"))


async def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    for n in range(2):
        await api.post(KEYS, json={"name": f"cursor {n}", "role": "viewer"})
    cursor = (await api.get(f"{KEYS}?limit=1")).json()["next_cursor"]
    damaged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for path in (
        f"{KEYS}?cursor={damaged}",
        f"{KEYS}?cursor=",
        f"{KEYS}?cursor=%00",
        f"{KEYS}?cursor=é",
        f"{KEYS}?sort=name&cursor={cursor}",
        f"/v1/audit-events?cursor={cursor}",
    ):
        assert_problem(await api.get(path), 422 if "%00" in path else 400)
    assert (await api.get(f"{KEYS}?limit=7&cursor={cursor}")).status_code == 200


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("count=maybe", "count"),
        ("sort=role", "sort"),
        ("colour=red", "colour"),
        ("sort=%00", "sort"),
    ],
)
async def test_a_bad_parameter_is_named(api: Api, query: str, parameter: str) -> None:
    problem = assert_problem(await api.get(f"{KEYS}?{query}"), 422)
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


async def test_an_id_that_is_none_is_a_422(api: Api) -> None:
    problem = assert_problem(await api.get(f"{KEYS}/nonsense"), 422)
    assert problem["errors"][0]["parameter"] == "key_id"
    assert_problem(await api.get(f"{KEYS}/{uuid4()}"), 404)


async def test_an_unchanged_resource_is_not_sent_again(api: Api) -> None:
    location = (await api.post(KEYS, json={"name": "etag", "role": "viewer"})).headers["location"]
    first = await api.get(location)
    again = await api.get(location, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await api.get(location, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_delete_honours_if_match(api: Api) -> None:
    made = await api.post(KEYS, json={"name": "match", "role": "viewer"})
    location = made.headers["location"]
    assert_problem(await api.delete(location, headers={"If-Match": '"stale"'}), 412)
    assert (await api.delete(location, headers={"If-Match": made.headers["etag"]})).status_code == 204


async def test_a_post_with_a_key_is_done_once(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await api.post(KEYS, json={"name": "once", "role": "viewer"}, headers=headers)
    again = await api.post(KEYS, json={"name": "once", "role": "viewer"}, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    (kept,) = await api.runtime.database.pool.fetch("SELECT i::text FROM idempotency_records i WHERE path = $1", KEYS)
    assert first.json()["key"] not in kept["i"]
    assert "once" not in kept["i"]
    other = await api.post(KEYS, json={"name": "twice", "role": "viewer"}, headers=headers)
    assert assert_problem(other, 422)["errors"][0]["parameter"] == "Idempotency-Key"


async def test_keys_belong_to_their_caller_and_end_after_a_day(api: Api) -> None:
    headers = {"Idempotency-Key": "shared"}
    body = {"name": "shared", "role": "viewer"}
    first = await api.post(KEYS, json=body, headers=headers)
    colleague = await (await api.as_role("admin")).post(KEYS, json=body, headers=headers)
    assert colleague.json()["id"] != first.json()["id"]
    await api.runtime.database.pool.execute("UPDATE idempotency_records SET created_at = now() - interval '25 hours'")
    later = await api.post(KEYS, json=body, headers=headers)
    assert later.status_code == 201
    assert later.json()["id"] not in {first.json()["id"], colleague.json()["id"]}


async def test_a_key_is_good_for_one_path(api: Api) -> None:
    headers = {"Idempotency-Key": "for either"}
    body = {"dataset": "people", "columns": ["name"]}
    reports = [(await api.post("/v1/reports", json={"name": name, **body})).json()["id"] for name in ("one", "other")]
    runs = [await api.post(f"/v1/reports/{report}/runs", headers=headers) for report in reports]
    assert [run.status_code for run in runs] == [202, 202]
    assert [run.json()["report_id"] for run in runs] == reports


async def test_a_replay_asks_who_calls(api: Api) -> None:
    headers = {"Idempotency-Key": "guarded"}
    await api.post(KEYS, json={"name": "guarded", "role": "viewer"}, headers=headers)
    response = await api.anonymous().post(KEYS, json={"name": "guarded", "role": "viewer"}, headers=headers)
    assert_problem(response, 401)


async def test_a_failed_post_can_be_sent_again(api: Api) -> None:
    headers = {"Idempotency-Key": "mended"}
    assert_problem(await api.post(KEYS, json={"name": ""}, headers=headers), 422)
    assert (await api.post(KEYS, json={"name": "mended", "role": "viewer"}, headers=headers)).status_code == 201


async def test_of_posts_that_run_at_once_one_is_done(api: Api) -> None:
    headers = {"Idempotency-Key": "at once"}
    body = {"name": "at once", "role": "viewer"}
    responses = await asyncio.gather(*(api.post(KEYS, json=body, headers=headers) for _ in range(5)))
    done = [r for r in responses if r.status_code == 201]
    assert done
    assert {r.status_code for r in responses} <= {201, 409}
    assert len({r.json()["id"] for r in done}) == 1
    assert await api.runtime.database.pool.fetchval("SELECT count(*) FROM api_keys WHERE name = 'at once'") == 1


async def test_the_second_is_told_that_the_first_still_runs(api: Api) -> None:
    headers = {"Idempotency-Key": "held"}
    body = {"name": "held", "role": "viewer"}
    async with api.runtime.database.sessions() as blocker:
        await blocker.execute(text("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"))
        first = asyncio.create_task(api.post(KEYS, json=body, headers=headers))
        await asyncio.sleep(0.2)
        assert_problem(await api.post(KEYS, json=body, headers=headers), 409)
        await blocker.rollback()
    assert (await first).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_cannot_be_one_is_refused(api: Api, key: str) -> None:
    response = await api.post(KEYS, json={"name": "x", "role": "viewer"}, headers={"Idempotency-Key": key})
    assert assert_problem(response, 422)["errors"][0]["parameter"] == "Idempotency-Key"


async def test_changes_are_audited(api: Api) -> None:
    headers = {"X-Request-Id": "audited-1"}
    made = (await api.post(KEYS, json={"name": "audited", "role": "viewer"}, headers=headers)).json()
    await api.delete(f"{KEYS}/{made['id']}")
    events = (await api.get("/v1/audit-events", params={"resource_id": made["id"]})).json()["items"]
    assert [event["action"] for event in events] == ["api_key.deleted", "api_key.created"]
    deleted, created = events
    assert created["resource"] == {"type": "api_key", "id": made["id"], "name": "audited"}
    assert created["actor"]["type"] == "api_key"
    assert created["actor"]["name"] == "an admin"
    assert created["request_id"] == "audited-1"
    assert created["address"] == "127.0.0.1"
    assert created["before"] is None
    assert created["after"]["role"] == "viewer"
    assert deleted["after"] is None
    assert made["key"] not in str(events)
    mine = await api.get("/v1/audit-events", params={"actor_id": created["actor"]["id"], "action": "api_key.created"})
    assert made["id"] in [event["resource"]["id"] for event in mine.json()["items"]]
    later = {"since": (now() + timedelta(hours=1)).isoformat()}
    assert (await api.get("/v1/audit-events", params=later)).json()["items"] == []
