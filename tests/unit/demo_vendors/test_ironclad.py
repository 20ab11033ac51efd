"""Ironclad Clickwrap's wire format, as its documents say."""

from __future__ import annotations

from app.demo.vendors import ironclad
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import Serve


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
