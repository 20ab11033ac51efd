"""What was saved before, or leads inside only when it is looked up: nothing is sent, and the caller is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.access.oidc import Issuer
from app.http import egress
from app.http.addresses import is_public
from tests.conftest import Api
from tests.edges.conftest import application
from tests.edges.hostile import HOSTS, THIS_MACHINE
from tests.edges.outbound import NAMES, WAYS, Listener, Way, made_webhook
from tests.edges.served import no_name
from tests.unit.http.http_servers import ok, says, serving

# The last is for names, which nobody knows here.
REFUSED = {"outbound_refused", "invalid_options", "vendor_unavailable"}
# A tenant that has just not answered is asked again after some seconds only, so each is asked once.
ONCE_EACH = list({host.lower(): host for host in THIS_MACHINE}.values())


async def check_at(api: Api, path: str, way: Way, url: str) -> dict[str, Any]:
    """The check of a credential whose option says so, as if that had been allowed when it was saved."""
    options = json.dumps({**way.options, way.option: url})
    await api.runtime.database.pool.execute(
        "UPDATE credentials SET options = $2::text::jsonb WHERE id = $1", UUID(path.rpartition("/")[2]), options
    )
    answer = await api.post(f"{path}/check")
    assert answer.status_code == 200, answer.text
    checked: dict[str, Any] = answer.json()
    return checked


async def test_at(api: Api, path: str, **columns: str) -> dict[str, Any]:
    """The test of a webhook whose row says so."""
    for column, value in columns.items():
        place = "url = $2" if column == "url" else "auth = jsonb_set(auth, '{token_url}', to_jsonb($2::text))"
        await api.runtime.database.pool.execute(
            f"UPDATE webhooks SET {place} WHERE id = $1", UUID(path.rpartition("/")[2]), value
        )
    answer = await api.post(f"{path}/test")
    assert answer.status_code == 200, answer.text
    tested: dict[str, Any] = answer.json()
    return tested


test_at.__test__ = False  # type: ignore[attr-defined]  # a helper, whose name says what it calls


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_no_connector_reaches_this_machine(
    guarded: Api, listener: Listener, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    path = await way.credential(guarded)
    monkeypatch.setattr(egress, "resolve_by_system", no_name)
    for place, host in enumerate(["2130706433"] if way.option == "auth_url" else ONCE_EACH):
        scheme = ("https", "http")[place % 2]
        checked = await check_at(guarded, path, way, f"{scheme}://{host}:{listener.port}")
        assert (checked["ok"], checked["code"] in REFUSED) == (False, True), (host, checked)
    assert listener.heard == 0


async def test_no_webhook_reaches_inside(guarded: Api, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await made_webhook(guarded, "https://example.com/hook", "https://example.com/token")
    plain = await made_webhook(guarded, "https://example.com/hook")
    monkeypatch.setattr(egress, "resolve_by_system", no_name)
    for host in HOSTS:
        if "\0" in host:
            continue  # no database holds it
        url = f"http://{host}:{listener.port}/"
        for tested in (
            await test_at(guarded, plain, url=url),
            await test_at(guarded, path, url="https://example.com/", token_url=url),
        ):
            assert not tested["ok"], (host, tested)
            assert tested["status_code"] is None, (host, tested)
    assert listener.heard == 0


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_worth_what_it_leads_to(guarded: Api, tried: list[str], name: str) -> None:
    way, looks = WAYS["okta, API"], len(NAMES[name])
    path = await way.credential(guarded)
    checks = [await check_at(guarded, path, way, f"https://{name}") for _ in range(looks)]
    assert not any(each["ok"] for each in checks)
    assert checks[-1]["code"] == "outbound_refused"
    hook = await made_webhook(guarded, "https://example.com/hook")
    tested = await test_at(guarded, hook, url=f"https://{name}/")
    assert (tested["ok"], "outbound_refused" in tested["detail"]) == (False, True)
    assert all(is_public(ip_address(address)) for address in tried)
    assert tried == (["8.8.8.8"] if looks > 1 else [])


async def test_no_issuer_is_inside(guarded: Api, listener: Listener, tried: list[str]) -> None:
    for host in (*THIS_MACHINE, *NAMES):
        update = {"oidc_issuer": f"https://{host}:{listener.port}", "oidc_audience": "seatwise"}
        assert not await Issuer(guarded.runtime.settings.model_copy(update=update)).reach()
    assert set(tried) <= {"8.8.8.8"}


@pytest_asyncio.fixture(scope="module")
async def allowing(api: Api) -> AsyncIterator[Api]:
    """A site that allows one address, from which somebody tries to lead it to another."""
    async for made in application(api, ip_network("127.0.0.1/32")):
        yield made


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(allowing: Api, listener: Listener, status: int) -> None:
    inside = f"http://127.255.255.254:{listener.port}/"
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: {inside}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    async with serving(says(moved)) as server:
        for way in (WAYS["okta, API"], WAYS["pingone, token"], WAYS["sailpoint"]):
            checked = await check_at(allowing, await way.credential(allowing), way, server.url)
            assert (checked["ok"], checked["code"]) == (False, "unexpected_answer")
            assert "redirect" in checked["detail"]
        hook = await made_webhook(allowing, server.url)
        assert (await test_at(allowing, hook))["status_code"] == status
        token = await made_webhook(allowing, "https://example.com/", f"{server.url}/token")
        assert "redirect" in (await test_at(allowing, token))["detail"]
        update = {"oidc_issuer": server.url, "oidc_audience": "seatwise"}
        assert not await Issuer(allowing.runtime.settings.model_copy(update=update)).reach()
        assert len(server.heads) == 6
    assert listener.heard == 0


async def test_an_issuer_does_not_lead_to_keys_inside(allowing: Api, listener: Listener) -> None:
    for host in ("127.255.255.254", "[::1]", "127.1.1.1", "0x7f.1.2.3"):
        document = {"jwks_uri": f"http://{host}:{listener.port}/"}

        async def tell(writer: asyncio.StreamWriter, said: dict[str, str] = document) -> None:
            writer.write(ok(json.dumps(said).encode()))
            await writer.drain()

        async with serving(tell) as server:
            document["issuer"] = server.url
            update = {"oidc_issuer": server.url, "oidc_audience": "seatwise"}
            assert not await Issuer(allowing.runtime.settings.model_copy(update=update)).reach()
            assert len(server.heads) == 1
    assert listener.heard == 0
