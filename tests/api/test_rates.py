"""How often a key may ask, and what a key that only hands in records may do."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import httpx

from app.access import rates
from app.main import create_app
from tests.api.instances import make
from tests.api.problems import assert_problem
from tests.conftest import Api


async def test_one_request_too_many_waits_for_the_next_minute(api: Api) -> None:
    settings = api.runtime.settings.model_copy(update={"key_rate_per_minute": 3})
    viewer, other = await api.as_role("viewer"), await api.as_role("viewer")
    replicas = [create_app(replace(api.runtime, settings=settings)) for _ in range(2)]
    seen = []
    for turn in range(4):
        transport = httpx.ASGITransport(replicas[turn % 2])
        async with httpx.AsyncClient(transport=transport, base_url="http://seatwise.test") as client:
            seen.append(await replace(viewer, client=client).get("/v1/connectors"))
            spared = await replace(other, client=client).get("/healthz")
    assert [answer.status_code for answer in seen] == [200, 200, 200, 429]
    assert seen[0].headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert seen[0].headers["ratelimit"].startswith('"key";r=2;t=')
    assert_problem(seen[3], 429)
    assert 1 <= int(seen[3].headers["retry-after"]) <= 60
    assert seen[3].headers["ratelimit"].startswith('"key";r=0;t=')
    assert (spared.status_code, "ratelimit" in spared.headers) == (200, False)


async def test_another_key_has_a_share_of_its_own_and_a_new_minute_begins_anew(api: Api) -> None:
    first, second = uuid4(), uuid4()
    database = api.runtime.database
    assert [(await rates.count_use(database, key, 5)).used for key in (first, first, second)] == [1, 2, 1]
    await database.pool.execute("UPDATE key_uses SET minute = minute - 2 WHERE key_id = $1", first)
    assert (await rates.count_use(database, first, 5)).used == 1
    await rates.forget_uses(database)
    assert await database.pool.fetchval("SELECT count(*) FROM key_uses WHERE key_id = $1", first) == 1


async def test_without_a_limit_nothing_is_counted(api: Api) -> None:
    before = await api.runtime.database.pool.fetchval("SELECT count(*) FROM key_uses")
    answer = await (await api.as_role("viewer")).get("/v1/connectors")
    assert "ratelimit" not in answer.headers
    assert await api.runtime.database.pool.fetchval("SELECT count(*) FROM key_uses") == before


async def test_a_key_for_ingest_is_bound_to_its_instance_and_may_nothing_else(api: Api) -> None:
    instance = await make(api)
    made = await api.post("/v1/api-keys", json={"name": "runner", "role": "ingest", "instance_id": instance["id"]})
    assert made.status_code == 201, made.text
    assert (made.json()["role"], made.json()["instance_id"]) == ("ingest", instance["id"])
    runner = api.with_key(made.json()["key"])
    for path in ("/v1/connectors", "/v1/instances", f"/v1/instances/{instance['id']}", "/v1/accounts"):
        assert_problem(await runner.get(path), 403)
    assert_problem(await runner.post(f"/v1/instances/{instance['id']}/syncs"), 403)


async def test_a_key_is_bound_exactly_where_its_role_asks_for_it(api: Api) -> None:
    instance = await make(api)
    for body in (
        {"role": "ingest"},
        {"role": "ingest", "instance_id": str(uuid4())},
        {"role": "viewer", "instance_id": instance["id"]},
    ):
        refused = assert_problem(await api.post("/v1/api-keys", json={"name": "k", **body}), 422)
        assert refused["errors"][0]["pointer"] == "#/instance_id"
