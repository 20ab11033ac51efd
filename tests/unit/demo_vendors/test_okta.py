"""Okta's wire format, as its documents say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from app.demo.vendors import okta
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import NOW, SSO, TODAY, Serve, flat, okta_pages


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
