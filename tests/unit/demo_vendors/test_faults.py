"""Worlds that change, faults that strike, servers that start and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import httpx
import msgspec
import pytest

from app.demo.vendors import ironclad, okta, pingone
from app.demo.vendors.pingone_records import CLIENT_ID, ENVIRONMENT
from app.demo.vendors.roster import ABSENT
from app.demo.vendors.serve import VendorServer
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import PING, Serve, flat, okta_pages, ping_token


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


def test_a_server_runs_in_a_thread(world: World) -> None:
    with VendorServer(ironclad.IroncladVendor(world)) as server:
        headers = {"Authorization": f"Bearer {server.credentials.access_token}"}
        assert httpx.get(f"{server.api_url}/sites", headers=headers).json()["count"] == 3
        assert [(r.method, r.path, r.status) for r in server.requests] == [("GET", "/v1.1/sites", 200)]
        assert ironclad.ACCESS_TOKEN not in repr(server.credentials)


def test_all_of_them_run_in_a_process_until_it_is_told_to_end() -> None:
    command = [sys.executable, "-m", "app.demo.vendors", "--people", "20", "--applications", "3", "--days", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        servers = msgspec.json.decode(process.stdout.readline())
        assert set(servers) == {"pingone", "okta", "ironclad-clickwrap", "sailpoint-isc"}
        headers = {"Authorization": f"SSWS {servers['okta']['credentials']['api_token']}"}
        assert len(httpx.get(servers["okta"]["api_url"] + "/api/v1/users", headers=headers).json()) >= 15
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0
