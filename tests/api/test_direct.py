"""Lists that are answered directly: the same answers as on the ordinary way, and nobody let in who may not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import BaseModel

from app.api.accounts import AccountAnswer
from app.api.people import PersonAnswer
from app.api.syncs import SyncAnswer
from app.core.clock import now
from app.main import create_app
from tests.api.books import Books, days_ago
from tests.api.instances import make
from tests.api.problems import assert_problem
from tests.conftest import Api

LISTS = ("/v1/accounts", "/v1/people", "/v1/syncs", "/v1/applications")
ODD = 'Zoë "the\\bar"\t\n\x01\x1f\x7f / \u2028 🙂'


@pytest_asyncio.fixture(scope="module", autouse=True)
async def books(api: Api) -> AsyncIterator[Books]:
    """Accounts, people, applications and syncs with every kind of value that a column may have."""
    books, pool = Books(api.runtime.database), api.runtime.database.pool
    for name, covered in (("Whole", 60), ("Short", 14), ("Blind", 0)):
        instance = await books.instance(name, covered=covered)
        application = await books.application(instance, f"{name} {ODD}")
        for number in range(4):
            person = await books.person(f"{ODD} {number}", given_name=None, fields={"a b": [1, {"c, d": None}]})
            await books.account(application, f"{name} {number}", person_id=person, used=days_ago(0, number * 10))
        await books.account(application, "Bare", email=None, username=None, assigned_at=now().replace(microsecond=0))
        await books.account(application, ODD, role="owner", metadata={"x": ODD, "n": [1.50, True]})
        await pool.execute(
            """
            INSERT INTO syncs (instance_id, status, trigger, started_at, progress, counters, failure) VALUES
                ($1, 'cancelled', 'manual', now(), '{}', '{}', NULL),
                ($1, 'failed', 'schedule', date_trunc('second', now()),
                    '{"users": {"done": true, "fetched": 3, "expected": null}}',
                    '{"people": {"read": 3, "created": 2, "updated": 0, "unchanged": 1, "deactivated": 0,
                                 "reactivated": 0, "filtered": 0, "rejected": 0, "held": 0}}',
                    '{"code": "vendor_busy", "detail": "It said: wait, \\"again\\"", "retryable": true}')
            """,
            instance,
        )
    await pool.execute(
        "UPDATE accounts SET updated_at = date_trunc('second', now()) + interval '0.5 s' WHERE role = 'owner'"
    )
    yield books


@pytest_asyncio.fixture
async def viewer(api: Api) -> Api:
    """A key whose use has just been noted, as it is with all but the first request of a minute."""
    viewer = await api.as_role("viewer")
    assert (await viewer.get("/v1/connectors")).status_code == 200
    return viewer


async def by_token(viewer: Api) -> Api:
    """The same key by an access token, with which every list goes the ordinary way."""
    keys = await viewer.runtime.database.pool.fetchval("SELECT max(id::text) FROM api_keys WHERE name = 'a viewer'")
    secret = {"grant_type": "client_credentials", "client_id": keys, "client_secret": viewer.key}
    minted = await viewer.anonymous().post("/oauth/token", data=secret)
    assert minted.status_code == 200, minted.text
    return viewer.with_key(minted.json()["access_token"])


def told(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [each for each in answer.headers.multi_items() if each[0] != "x-request-id"]
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize(
    "path",
    [
        *LISTS,
        *(f"{path}?limit=2&count=true" for path in LISTS),
        "/v1/accounts?sort=-last_active_at&limit=3",
        "/v1/accounts?sort=email&limit=3",
        "/v1/accounts?usage=unused&window=7d",
        "/v1/accounts?usage=unknown",
        "/v1/accounts?metadata.n=1&q=zo",
        "/v1/accounts?as_of=<a second ago>",
        "/v1/accounts?inactive_for=30d&window=30d&status=active&seat=assigned",
        "/v1/accounts?vendor_id=nobody",
        "/v1/people?sort=name&q=zo",
        "/v1/syncs?status=failed&sort=created_at",
        "/v1/applications?sort=-name&kind=detected",
    ],
)
async def test_both_ways_give_the_same_answers_to_the_last_page(viewer: Api, path: str) -> None:
    ordinary = await by_token(viewer)
    following = path.replace("<a second ago>", f"{now() - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}")
    for _ in range(20):
        direct = await viewer.get(following)
        assert direct.status_code == 200, direct.text
        assert told(direct) == told(await ordinary.get(following))
        if "next" not in direct.links:
            return
        following = direct.links["next"]["url"]
    pytest.fail("the list does not end")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=5&limit=6", "limt=5", "sort=nothing", "cursor=x", "q=", "window=0d", "count=maybe", "q=%00"],
)
async def test_what_does_not_fit_is_refused_alike(viewer: Api, path: str, query: str) -> None:
    direct, ordinary = await viewer.get(f"{path}?{query}"), await (await by_token(viewer)).get(f"{path}?{query}")
    one, other = ({**each.json(), "request_id": ""} for each in (direct, ordinary))
    assert (direct.status_code, one) == (ordinary.status_code, other)
    assert direct.status_code in (200, 400, 422)


@pytest.mark.parametrize(
    ("path", "model"), [("/v1/accounts", AccountAnswer), ("/v1/people", PersonAnswer), ("/v1/syncs", SyncAnswer)]
)
async def test_lists_are_what_their_description_says(viewer: Api, path: str, model: type[BaseModel]) -> None:
    items: list[dict[str, Any]] = (await viewer.get(f"{path}?limit=200")).json()["items"]
    assert items
    for item in items:
        shown = model.model_validate(item).model_dump(mode="json", by_alias=True)
        assert shown.keys() == item.keys()
        times = {name for name in item if name.endswith("_at") or name in ("covered_until", "scheduled_for")}
        assert {name: shown[name] for name in shown if name not in times} == {
            name: item[name] for name in item if name not in times
        }
        assert all(item[name] is None or item[name].endswith("Z") for name in times)


@pytest.mark.parametrize("path", LISTS)
async def test_a_key_that_has_ended_is_refused_at_once(api: Api, viewer: Api, path: str) -> None:
    pool = api.runtime.database.pool
    assert (await viewer.get(path)).status_code == 200
    await pool.execute("UPDATE api_keys SET expires_at = now() WHERE name = 'a viewer'")
    assert_problem(await viewer.get(path), 401)
    await pool.execute("UPDATE api_keys SET expires_at = NULL, revoked_at = now() WHERE name = 'a viewer'")
    assert_problem(await viewer.get(path), 401)
    assert_problem(await api.with_key(f"sw_{uuid4().hex}").get(path), 401)
    assert_problem(await api.anonymous().get(path), 401)


@pytest.mark.parametrize("path", LISTS)
async def test_a_key_for_ingest_reads_no_list(api: Api, path: str) -> None:
    instance = await make(api)
    made = await api.post("/v1/api-keys", json={"name": "runner", "role": "ingest", "instance_id": instance["id"]})
    await api.runtime.database.pool.execute("UPDATE api_keys SET last_used_at = now() WHERE role = 'ingest'")
    assert_problem(await api.with_key(made.json()["key"]).get(path), 403)


async def test_the_use_of_a_key_for_lists_alone_is_noted_each_minute(api: Api, viewer: Api) -> None:
    pool = api.runtime.database.pool
    await pool.execute("UPDATE api_keys SET last_used_at = now() - interval '2 minutes' WHERE name = 'a viewer'")
    assert (await viewer.get("/v1/accounts")).status_code == 200
    noted = "SELECT max(last_used_at) > now() - interval '1 minute' FROM api_keys WHERE name = 'a viewer'"
    assert await pool.fetchval(noted)


async def test_lists_count_where_a_key_may_only_ask_so_often(api: Api, viewer: Api) -> None:
    settings = api.runtime.settings.model_copy(update={"key_rate_per_minute": 2})
    transport = httpx.ASGITransport(create_app(replace(api.runtime, settings=settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://seatwise.test") as client:
        seen = [await replace(viewer, client=client).get("/v1/people") for _ in range(3)]
    assert [answer.status_code for answer in seen] == [200, 200, 429]
    assert seen[1].headers["ratelimit"].startswith('"key";r=0;t=')


async def test_lists_are_counted_by_their_route(api: Api, viewer: Api) -> None:
    line = 'seatwise_http_requests_total{method="GET",route="/v1/people",status="200"} '

    async def count() -> float:
        figures = (await api.anonymous().get("/metrics")).text.splitlines()
        return float(next((each.removeprefix(line) for each in figures if each.startswith(line)), 0))

    before = await count()
    await viewer.get("/v1/people?limit=1")
    assert await count() == before + 1
