"""The simulated vendors behave as the vendors' documents say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from app.demo.vendors import ironclad, okta, pingone
from app.demo.vendors.okta_records import STATUSES
from app.demo.vendors.pingone_records import CLIENT_ID, ENVIRONMENT
from app.demo.vendors.roster import ABSENT
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.vendor import Vendor
from app.demo.vendors.world import World

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
SSO = 'eventType eq "user.authentication.sso"'
PING = f"/v1/environments/{ENVIRONMENT}"
Served = tuple[VendorServer, httpx.AsyncClient]
Serve = Callable[..., Awaitable[Served]]
Pages = list[list[dict[str, Any]]]


@pytest.fixture
def world() -> World:
    return World(7, people=60, applications=12, days=30, today=TODAY)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a vendor until the end of the test; gives the server and a client on it."""
    async with AsyncExitStack() as stack:

        async def start(vendor: Vendor, **headers: str) -> Served:
            server = await stack.enter_async_context(VendorServer(vendor))
            client = httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=5)
            return server, await stack.enter_async_context(client)

        yield start


async def okta_pages(client: httpx.AsyncClient, path: str, **params: str | int) -> Pages:
    """All pages, up to one without a next link or an empty one."""
    pages: Pages = []
    answer = await client.get(path, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        if not answer.json():
            return pages
        pages.append(answer.json())
        if "next" not in answer.links:
            return pages
        answer = await client.get(answer.links["next"]["url"])


async def ping_pages(client: httpx.AsyncClient, path: str, name: str, **params: str | int) -> Pages:
    pages: Pages = []
    answer = await client.get(PING + path, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["_embedded"][name])
        if "next" not in answer.json()["_links"]:
            return pages
        answer = await client.get(answer.json()["_links"]["next"]["href"])


def flat(pages: Pages) -> list[dict[str, Any]]:
    return [record for page in pages for record in page]


def span(days: int, until: datetime = NOW) -> str:
    since = until - timedelta(days=days)
    return f'recordedAt gt "{since.isoformat()}" and recordedAt lt "{until.isoformat()}"'


async def ping_token(client: httpx.AsyncClient) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": pingone.CLIENT_SECRET}
    answer = await client.post(f"/{ENVIRONMENT}/as/token", data=form)
    assert answer.json()["expires_in"] == 3600
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


# The world


def test_the_same_seed_gives_the_same_world() -> None:
    one, other = (World(3, people=30, days=10, today=TODAY) for _ in range(2))
    assert one.okta.users == other.okta.users
    assert one.okta.uses == other.okta.uses
    assert one.pingone.assignments == other.pingone.assignments
    assert World(4, people=30, days=10, today=TODAY).okta.users != one.okta.users


def test_the_same_humans_are_at_several_vendors_sometimes_in_other_letters(world: World) -> None:
    okta_mails = {u["profile"]["email"] for u in world.okta.users}
    ping_mails = [u["email"] for u in world.pingone.users if "email" in u]
    click_mails = [u["email"] for u in world.ironclad.users]
    assert len(okta_mails) == 60
    assert {m.lower() for m in ping_mails} & okta_mails
    assert {m.lower() for m in click_mails} <= okta_mails
    assert any(m != m.lower() for m in ping_mails)
    assert any(m != m.lower() for m in click_mails)


def test_no_sign_on_lies_in_the_future_and_weekdays_are_heavier(world: World) -> None:
    times = [at for _, _, at, _ in world.okta.uses]
    assert min(times).date() >= TODAY - timedelta(days=29)
    assert max(times) <= NOW
    assert sum(at.weekday() == 1 for at in times) > 3 * sum(at.weekday() == 6 for at in times)
    assert len({event for *_, event in world.okta.uses}) == len(times)


def test_seats_that_nobody_ever_uses_exist(world: World) -> None:
    used = {(app, user) for app, user, _, _ in world.okta.uses}
    assert world.okta.assignments - used
    assert world.okta.assignments & used


def test_the_awkward_cases_are_there(world: World) -> None:
    assert {u["status"] for u in world.okta.users} == set(STATUSES)
    users = world.pingone.users
    assert any("email" not in u for u in users)
    assert any("name" not in u for u in users)
    assert any("address" not in u for u in users)
    assert any(u.get("type") == "" for u in users)
    apps = world.pingone.applications
    rules = [a.get("accessControl", {}) for a in apps]
    assert {r["group"]["type"] for r in rules if "group" in r} == {"ANY_GROUP", "ALL_GROUPS"}
    assert {"role": {"type": "ADMIN_USERS_ONLY"}} in rules
    assert {} in rules
    assert {a["enabled"] for a in apps} == {True, False}
    assert {"WORKER", "SERVICE", "PING_ONE_PORTAL", "PING_ONE_ADMIN_CONSOLE"} <= {a["type"] for a in apps}
    names = [a["name"] for a in world.okta.applications]
    assert {"saasure", "okta_enduser"} < set(names)
    assert names.count("ledgerly") == 2
    assert {a["status"] for a in world.okta.applications} == {"ACTIVE", "INACTIVE"}


def test_the_deprovisioned_have_sign_ons_but_no_seats(world: World) -> None:
    gone = {u["id"] for u in world.okta.users if u["status"] == "DEPROVISIONED"}
    assert not gone & {user for _, user in world.okta.assignments}
    ada = next(u["id"] for u in world.okta.users if u["status"] == "ACTIVE")
    world.okta.set_status(ada, "DEPROVISIONED")
    assert ada not in {user for _, user in world.okta.assignments}
    assert ada in {user for _, user, _, _ in world.okta.uses}


# Okta


async def test_okta_lists_users_by_links_on_lines_of_their_own(world: World, serve: Serve) -> None:
    _, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    answer = await client.get("/api/v1/users", params={"limit": 25})
    lines = answer.headers.get_list("link")
    assert [line.rsplit(" ", 1)[1] for line in lines] == ['rel="self"', 'rel="next"']
    pages = await okta_pages(client, "/api/v1/users", limit=25)
    active = [u for u in world.okta.users if u["status"] != "DEPROVISIONED"]
    assert flat(pages) == active
    assert [len(page) for page in pages[:-1]] == [25] * (len(pages) - 1)
    gone = flat(await okta_pages(client, "/api/v1/users", filter='status eq "DEPROVISIONED"'))
    assert len(gone) + len(active) == 60
    assert flat(await okta_pages(client, "/api/v1/users", search='status eq "ACTIVE" or status eq "STAGED"'))


async def test_okta_caps_its_pages_and_refuses_a_strange_cursor() -> None:
    world = World(people=1500, applications=2, days=2, today=TODAY)
    async with (
        VendorServer(okta.OktaVendor(world)) as server,
        httpx.AsyncClient(base_url=server.base_url, headers={"Authorization": f"SSWS {okta.API_TOKEN}"}) as client,
    ):
        assert len((await client.get("/api/v1/users?limit=5000")).json()) == 200
        app = world.okta.applications[2]["id"]
        assert len((await client.get(f"/api/v1/apps/{app}/users")).json()) == 50
        assert len((await client.get(f"/api/v1/apps/{app}/users?limit=5000")).json()) == 500
        assert len((await client.get("/api/v1/logs?limit=5000&since=2026-11-19T00:00:00Z")).json()) == 1000
        bad = await client.get("/api/v1/users?after=nonsense")
        assert (bad.status_code, bad.json()["errorCode"]) == (400, "E0000029")


async def test_okta_lists_assignments_and_roles(world: World, serve: Serve) -> None:
    _, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    apps = flat(await okta_pages(client, "/api/v1/apps"))
    assert apps == world.okta.applications
    seen = set()
    for app in apps:
        seats = flat(await okta_pages(client, f"/api/v1/apps/{app['id']}/users", limit=20))
        seen |= {(app["id"], seat["id"]) for seat in seats}
    assert seen == world.okta.assignments
    me = (await client.get("/api/v1/users/me")).json()
    roles = (await client.get(f"/api/v1/users/{me['id']}/roles")).json()
    assert [role["type"] for role in roles] == ["READ_ONLY_ADMIN"]
    embedded = (await client.get(f"/api/v1/apps/{apps[2]['id']}/users?expand=user")).json()
    assert embedded[0]["_embedded"]["user"]["id"] == embedded[0]["id"]


async def test_oktas_polling_log_has_a_next_link_even_when_empty_and_misses_nothing(world: World, serve: Serve) -> None:
    _, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    since = datetime(2026, 10, 1, tzinfo=UTC).isoformat()
    url, events = f"/api/v1/logs?limit=700&since={since[:19]}Z", []
    while page := (answer := await client.get(url)).json():
        events += page
        url = answer.links["next"]["url"]
    assert answer.links["next"]["url"] == url
    uses = {(use[3]) for use in world.okta.uses}
    hits = [e for e in events if e["eventType"] == "user.authentication.sso" and e["outcome"]["result"] == "SUCCESS"]
    assert {e["uuid"] for e in hits if e["target"]} == uses
    assert len(hits) > len({e["uuid"] for e in hits})
    assert {e["outcome"]["result"] for e in events} == {"SUCCESS", "FAILURE"}
    listed = {a["id"] for a in world.okta.applications}
    assert {t["id"] for e in hits for t in e["target"] or () if t["type"] == "AppInstance"} - listed
    assert {e["target"][0]["type"] for e in hits if e["target"]} == {"AppInstance", "AppUser"}

    app, user, *_ = world.okta.uses[0]
    late = world.okta.add_use(app, user, NOW - timedelta(days=3))
    assert [e["uuid"] for e in (await client.get(url)).json()] == [late]


async def test_oktas_bounded_log_ends_and_is_sorted_by_time(world: World, serve: Serve) -> None:
    _, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    bounds = {"since": "2026-11-10T00:00:00Z", "until": "2026-11-14T00:00:00Z", "filter": SSO}
    events = flat(await okta_pages(client, "/api/v1/logs", limit=50, **bounds))
    times = [e["published"] for e in events]
    assert times == sorted(times)
    assert {t[:10] for t in times} == {"2026-11-10", "2026-11-11", "2026-11-12", "2026-11-13"}
    newest_first = flat(await okta_pages(client, "/api/v1/logs", limit=50, sortOrder="DESCENDING", **bounds))
    assert [e["uuid"] for e in newest_first] == [e["uuid"] for e in reversed(events)]
    old = await client.get("/api/v1/logs", params={"since": "2026-01-01T00:00:00Z"})
    assert (old.status_code, old.json()["errorCode"]) == (400, "E0000053")
    both = await client.get("/api/v1/logs", params={"since": "2026-11-01T00:00:00Z", "after": "x"})
    assert both.status_code == 400


def assertion(server: VendorServer, **changes: Any) -> dict[str, str]:
    credentials = server.credentials
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": f"{server.base_url}/oauth2/v1/token",
        "exp": int(time.time()) + 300,
        **changes,
    }
    key = RSAKey.import_key(credentials.private_key or "")
    return {
        "grant_type": "client_credentials",
        "scope": "okta.users.read",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "RS256", "kid": credentials.key_id}, claims, key),
    }


async def test_okta_takes_a_signed_assertion_and_only_the_scopes_granted(world: World, serve: Serve) -> None:
    server, client = await serve(okta.OktaVendor(world))
    once = assertion(server, jti="once")
    token = (await client.post("/oauth2/v1/token", data=once)).json()
    assert (token["expires_in"], token["scope"]) == (3600, "okta.users.read")
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await client.get("/api/v1/users", headers=bearer)).status_code == 200
    refused = await client.get("/api/v1/apps", headers=bearer)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "E0000006")
    other_host = assertion(server, aud="https://other.example/oauth2/v1/token")
    forged = assertion(server)
    forged["client_assertion"] = forged["client_assertion"][:-8] + "AAAAAAAA"
    for form in (once, other_host, forged, assertion(server, exp=int(time.time()) + 7200)):
        answer = await client.post("/oauth2/v1/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    too_much = await client.post("/oauth2/v1/token", data={**assertion(server), "scope": "okta.users.manage"})
    assert too_much.json()["error"] == "invalid_scope"
    world.okta.dpop = True
    assert (await client.post("/oauth2/v1/token", data=assertion(server))).json()["error"] == "invalid_dpop_proof"


async def test_okta_refuses_in_its_own_shape(world: World, serve: Serve) -> None:
    _, client = await serve(okta.OktaVendor(world))
    answers = [await client.get("/api/v1/users")]
    client.headers["Authorization"] = f"SSWS {okta.API_TOKEN}"
    world.okta.remove_role("READ_ONLY_ADMIN")
    answers += [await client.get("/api/v1/logs"), await client.get("/api/v1/users/00unobody")]
    world.okta.tokens.revoke()
    answers.append(await client.get("/api/v1/apps"))
    codes = [(a.status_code, a.json()["errorCode"]) for a in answers]
    assert codes == [(401, "E0000011"), (403, "E0000006"), (404, "E0000007"), (401, "E0000011")]
    assert set(answers[0].json()) == {"errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"}


async def test_okta_tells_its_quota_and_answers_429_without_retry_after(world: World, serve: Serve) -> None:
    vendor = okta.OktaVendor(world, limits={"apps": 3})
    server, client = await serve(vendor, Authorization=f"SSWS {okta.API_TOKEN}")
    vendor.windows["apps"].take()
    remaining = []
    for _ in range(3):
        answer = await client.get("/api/v1/apps")
        remaining.append(answer.headers["X-Rate-Limit-Remaining"])
    assert remaining == ["1", "0", "0"]
    assert (answer.status_code, answer.json()["errorCode"]) == (429, "E0000047")
    assert "Retry-After" not in answer.headers
    assert 0 < int(answer.headers["X-Rate-Limit-Reset"]) - time.time() <= 61
    assert (await client.get("/api/v1/users")).headers["X-Rate-Limit-Limit"] == "10000"
    assert [seen.status for seen in server.requests] == [200, 200, 429, 200]


# PingOne


async def test_pingone_takes_one_way_of_client_authentication(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world, auth_method="client_secret_basic"))
    url, secret = f"/{ENVIRONMENT}/as/token", pingone.CLIENT_SECRET
    grant = {"grant_type": "client_credentials"}
    posted = await client.post(url, data={**grant, "client_id": CLIENT_ID, "client_secret": secret})
    assert (posted.status_code, posted.json()["error"]) == (401, "invalid_client")
    assert (await client.post(url, data=grant, auth=(CLIENT_ID, secret))).status_code == 200
    elsewhere = await client.post("/another/as/token", data=grant, auth=(CLIENT_ID, secret))
    assert elsewhere.json()["error"] == "invalid_client"
    world.pingone.tokens.refuse_client = True
    assert (await client.post(url, data=grant, auth=(CLIENT_ID, secret))).status_code == 401


async def test_pingone_pages_by_hal_and_may_give_less_than_asked(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world, page_cap=17))
    await ping_token(client)
    pages = await ping_pages(client, "/users", "users", limit=200)
    assert [len(page) for page in pages] == [17, 17, 17, 9]
    assert flat(pages) == world.pingone.users
    body = (await client.get(f"{PING}/users?limit=5")).json()
    assert (body["count"], body["size"]) == (60, 5)
    assert flat(await ping_pages(client, "/applications", "applications")) == world.pingone.applications
    bad = await client.get(f"{PING}/users?cursor=nonsense")
    assert (bad.status_code, bad.json()["code"]) == (400, "INVALID_DATA")


async def test_pingone_lists_the_members_of_groups(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world))
    await ping_token(client)
    seen = set()
    for group in flat(await ping_pages(client, "/groups", "groups")):
        members = await ping_pages(client, "/users", "users", limit=3, filter=f'memberOfGroups[id eq "{group["id"]}"]')
        seen |= {(group["id"], user["id"]) for user in flat(members)}
    assert seen == world.pingone.memberships
    unknown = await client.get(f"{PING}/users", params={"filter": 'favouriteColour eq "blue"'})
    assert unknown.status_code == 400


async def test_pingones_activities_need_a_date_range_and_reach_back_14_days(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world))
    await ping_token(client)
    for text in ("", 'recordedAt gt "2026-11-10T00:00:00Z"', 'action.type eq "USER.ACCESS_ALLOWED"'):
        refused = await client.get(f"{PING}/activities", params={"filter": text} if text else {})
        assert refused.status_code == 400
        assert refused.json()["details"][0]["message"]
    events = flat(await ping_pages(client, "/activities", "activities", limit=300, filter=span(30)))
    kept = {use[3] for use in world.pingone.uses if use[2] >= NOW - timedelta(days=14)}
    allowed = [e for e in events if e["action"]["type"] == "USER.ACCESS_ALLOWED" and e["result"]["status"] == "SUCCESS"]
    assert kept
    assert {e["id"] for e in allowed if "actors" in e} == kept
    assert len(allowed) > len({e["id"] for e in allowed})
    assert any("actors" not in e for e in events)
    assert any(e["actors"]["client"]["id"] == "adminui" for e in events if "actors" in e)
    assert {e["result"]["status"] for e in events} == {"SUCCESS", "FAILED"}
    only = await ping_pages(
        client, "/activities", "activities", filter=span(3) + ' and action.type eq "USER.ACCESS_ALLOWED"'
    )
    assert {e["action"]["type"] for e in flat(only)} == {"USER.ACCESS_ALLOWED"}


async def test_a_late_activity_stands_at_its_own_time(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world))
    await ping_token(client)
    app, user, *_ = world.pingone.uses[0]
    at = NOW - timedelta(hours=20)
    late = world.pingone.add_use(app, user, at)
    seen = await ping_pages(client, "/activities", "activities", filter=span(1))
    assert [e["recordedAt"] for e in flat(seen) if e["id"] == late] == ["2026-11-19T22:00:00.000Z"]


async def test_pingones_roles_decide_what_is_shown(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world))
    await ping_token(client)
    names = {role["id"]: role["name"] for role in (await client.get("/v1/roles")).json()["_embedded"]["roles"]}
    (given,) = await ping_pages(client, f"/applications/{CLIENT_ID}/roleAssignments", "roleAssignments")
    assert {names[g["role"]["id"]] for g in given} == {
        "Client Application Developer",
        "Environment Admin",
        "Identity Data Admin",
    }
    world.pingone.remove_role("Identity Data Admin")
    refused = await client.get(f"{PING}/users")
    assert (refused.status_code, refused.json()["code"]) == (403, "ACCESS_FAILED")
    world.pingone.give_role("Identity Data Admin", population=1)
    some = flat(await ping_pages(client, "/users", "users"))
    assert 0 < len(some) < 60
    assert len({u["population"]["id"] for u in some}) == 1


async def test_pingone_limits_requests_with_retry_after(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world, limits={"audit": (2, 30.0)}))
    await ping_token(client)
    statuses = [(await client.get(f"{PING}/activities", params={"filter": span(1)})).status_code for _ in range(2)]
    answer = await client.get(f"{PING}/activities", params={"filter": span(1)})
    assert [*statuses, answer.status_code] == [200, 200, 429]
    assert answer.json()["code"] == "REQUEST_LIMITED"
    assert 0 < int(answer.headers["Retry-After"]) <= 30
    assert (await client.get(f"{PING}/users")).status_code == 200


async def test_links_may_name_the_documented_host(world: World, serve: Serve) -> None:
    _, client = await serve(pingone.PingOneVendor(world, links="https://api.pingone.eu"))
    await ping_token(client)
    body = (await client.get(f"{PING}/users?limit=5")).json()
    assert body["_links"]["next"]["href"].startswith(f"https://api.pingone.eu{PING}/users?")


# Clickwrap


async def test_a_new_clickwrap_token_ends_the_one_before(world: World, serve: Serve) -> None:
    _, client = await serve(ironclad.IroncladVendor(world))
    form = {"grant_type": "client_credentials", "client_id": ironclad.CLIENT_ID}
    wrong = await client.post("/oauth/token", data={**form, "client_secret": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]["name"]) == (401, "UnauthorizedError")
    form["client_secret"] = ironclad.CLIENT_SECRET
    tokens = [ironclad.ACCESS_TOKEN]
    for answer in (await client.post("/oauth/token", data=form), await client.post("/oauth/token", json=form)):
        assert "expires_in" not in answer.json()
        tokens.append(answer.json()["access_token"])
    statuses = [
        (await client.get("/v1.1/sites", headers={"Authorization": f"Bearer {token}"})).status_code for token in tokens
    ]
    assert statuses == [401, 401, 200]


async def test_clickwrap_lists_members_pages_and_memberships(world: World, serve: Serve) -> None:
    _, client = await serve(ironclad.IroncladVendor(world), Authorization=f"Bearer {ironclad.ACCESS_TOKEN}")
    sites = (await client.get("/v1.1/sites")).json()["data"]
    (account,) = {site["account"] for site in sites}
    members, page = [], 1
    while True:
        body = (await client.get(f"/v1.1/accounts/{account}/members", params={"page": page, "per_page": 5})).json()
        members += body["data"]
        assert (body["page"], body["count"]) == (page, len(body["data"]))
        assert body["total_count"] == len(world.ironclad.users)
        page += 1
        if not body["has_more"]:
            break
    assert members == world.ironclad.users
    seen = set()
    for site in sites:
        body = (await client.get(f"/v1.1/sites/{site['id']}/memberships?per_page=100&no_count=true")).json()
        assert "total_count" not in body
        seen |= {(site["id"], m["user"]["id"], m["role"]) for m in body["data"]}
    assert seen == world.ironclad.memberships
    assert (await client.get(f"/v1.1/accounts/{account}")).json()["limits"]["users"] > len(members)
    assert (await client.get("/v1.1/accounts/1/members")).json()["error"]["status"] == 404


# Changes


async def test_a_world_can_be_changed_while_it_is_served(world: World, serve: Serve) -> None:
    _, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    before = {u["id"] for u in flat(await okta_pages(client, "/api/v1/users"))}
    leaver, mover = sorted(before)[:2]
    world.okta.remove_user(leaver)
    world.okta.change_user(mover, {"profile": {"email": "new@example.com", "title": ABSENT}})
    joiner = world.okta.add_user()
    app = world.okta.applications[5]["id"]
    world.okta.assign(app, joiner)
    after = {u["id"]: u["profile"] for u in flat(await okta_pages(client, "/api/v1/users"))}
    assert set(after) == before - {leaver} | {joiner}
    assert after[mover]["email"] == "new@example.com"
    assert "title" not in after[mover]
    assert joiner in {s["id"] for s in flat(await okta_pages(client, f"/api/v1/apps/{app}/users"))}
    assert (await client.get(f"/api/v1/users/{leaver}")).status_code == 404
    world.okta.remove_application(app)
    assert app not in {a["id"] for a in flat(await okta_pages(client, "/api/v1/apps"))}


# Faults


async def okta_users(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/api/v1/users?limit=10")


async def test_a_fault_strikes_the_requests_it_names(world: World, serve: Serve) -> None:
    server, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    fault = server.faults.too_many("/users", at=2, times=2, retry_after="3")
    server.faults.status(503, "/api/v1/apps", times=None)
    answers = [await okta_users(client) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "3"
    assert answers[1].json()["errorCode"] == "E0000047"
    assert [(await client.get("/api/v1/apps")).status_code for _ in range(2)] == [503, 503]
    assert fault.struck == 2
    server.faults.clear()
    assert (await client.get("/api/v1/apps")).status_code == 200


async def test_a_cut_body_and_a_reset_connection_break_the_client(world: World, serve: Serve) -> None:
    server, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    server.faults.truncated("/users")
    with pytest.raises(httpx.RemoteProtocolError):
        await okta_users(client)
    server.faults.clear()
    server.faults.reset("/users")
    with pytest.raises(httpx.ReadError):
        await okta_users(client)
    assert (await okta_users(client)).status_code == 200
    assert [seen.status for seen in server.requests] == [200, 0, 200]


async def test_wrong_answers_that_look_right(world: World, serve: Serve) -> None:
    server, client = await serve(okta.OktaVendor(world), Authorization=f"SSWS {okta.API_TOKEN}")
    server.faults.html("/users")
    answer = await okta_users(client)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    server.faults.wrong_shape("/users")
    assert (await okta_users(client)).json() == {"unexpected": True}
    server.faults.foreign_next("/users")
    assert (await okta_users(client)).links["next"]["url"].startswith("https://collector.example.net/api/v1/users?")
    server.faults.repeat_cursor("/users")
    answer = await okta_users(client)
    assert answer.links["next"]["url"] == answer.links["self"]["url"]


async def test_slow_answers_and_tokens_that_end(world: World, serve: Serve) -> None:
    world.pingone.tokens.life_s = 3600
    server, client = await serve(pingone.PingOneVendor(world))
    await ping_token(client)
    server.faults.slow(0.1, "/users")
    began = time.monotonic()
    await client.get(f"{PING}/users")
    assert time.monotonic() - began >= 0.1
    server.faults.revoke_tokens("/users")
    answer = await client.get(f"{PING}/users")
    assert (answer.status_code, answer.json()["details"][0]["code"]) == (401, "INVALID_TOKEN")
    await ping_token(client)
    world.pingone.tokens.life_s = 0
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": pingone.CLIENT_SECRET}
    short = (await client.post(f"/{ENVIRONMENT}/as/token", data=form)).json()["access_token"]
    ended = await client.get(f"{PING}/users", headers={"Authorization": f"Bearer {short}"})
    assert ended.status_code == 401


# Serving


def test_a_server_runs_in_a_thread(world: World) -> None:
    with VendorServer(ironclad.IroncladVendor(world)) as server:
        headers = {"Authorization": f"Bearer {server.credentials.access_token}"}
        assert httpx.get(f"{server.api_url}/sites", headers=headers).json()["count"] == 3
        assert [(r.method, r.path, r.status) for r in server.requests] == [("GET", "/v1.1/sites", 200)]
        assert ironclad.ACCESS_TOKEN not in repr(server.credentials)


def test_all_three_run_in_a_process_until_it_is_told_to_end() -> None:
    command = [sys.executable, "-m", "app.demo.vendors", "--people", "20", "--applications", "3", "--days", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        servers = msgspec.json.decode(process.stdout.readline())
        assert set(servers) == {"pingone", "okta", "ironclad-clickwrap"}
        headers = {"Authorization": f"SSWS {servers['okta']['credentials']['api_token']}"}
        assert len(httpx.get(servers["okta"]["api_url"] + "/api/v1/users", headers=headers).json()) >= 15
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0
