"""PingOne's wire format, as its documents say."""

from __future__ import annotations

from datetime import timedelta

from app.demo.vendors import pingone
from app.demo.vendors.pingone_records import CLIENT_ID, ENVIRONMENT
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import NOW, PING, Serve, flat, ping_pages, ping_token, span


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


async def test_a_renewed_secret_ends_the_old_one_and_every_token(world: World, serve: Serve) -> None:
    vendor = pingone.PingOneVendor(world)
    _, client = await serve(vendor)
    await ping_token(client)
    assert (await client.get(PING)).status_code == 200
    renewed = vendor.renew_secret()
    assert (await client.get(PING)).status_code == 401
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID}
    url = f"/{ENVIRONMENT}/as/token"
    assert (await client.post(url, data={**form, "client_secret": pingone.CLIENT_SECRET})).status_code == 401
    assert (await client.post(url, data={**form, "client_secret": renewed})).status_code == 200


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
