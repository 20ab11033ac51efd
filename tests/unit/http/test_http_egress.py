from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

import httpcore
import pytest

from app.core.errors import InvalidInput, OutboundRefused
from app.http.client import build_client
from app.http.egress import GuardedBackend, Resolver, check_url
from tests.edges.hostile import HOSTS, ODD_URLS
from tests.unit.http.http_servers import LOOPBACK, ok, says, serving

PUBLIC = ["api.pingone.eu", "acme.okta.com", "8.8.8.8", "[2606:4700::1111]", "[64:ff9b::808:808]", "xn--fa-hia.de"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_private_address_is_refused_in_any_spelling(host: str, scheme: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(f"{scheme}://{host}:8443/v1", [], pointer="#/options/api_url")
    assert refused.value.errors[0].pointer == "#/options/api_url"


@pytest.mark.parametrize("host", PUBLIC)
def test_public_hosts_are_fine_over_https_only(host: str) -> None:
    check_url(f"https://{host}/v1", [], pointer="#/u")
    with pytest.raises(InvalidInput):
        check_url(f"http://{host}/v1", [], pointer="#/u")


@pytest.mark.parametrize("url", ODD_URLS)
def test_odd_urls_are_refused_without_showing_their_secrets(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, LOOPBACK, pointer="#/u")
    assert "secret" not in refused.value.errors[0].detail.replace("give secrets in", "")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://2130706433", "http://[::ffff:127.0.0.1]", "http://localhost:1"]
)
def test_allowed_networks_may_be_reached_by_plain_http(url: str) -> None:
    check_url(url, LOOPBACK, pointer="#/u")


def test_allowing_one_network_allows_no_other() -> None:
    for url in ("https://10.0.0.1", "http://8.8.8.8", "https://[::1]"):
        with pytest.raises(InvalidInput):
            check_url(url, LOOPBACK, pointer="#/u")
    check_url("http://vendor.internal/", LOOPBACK, pointer="#/u")


def resolving(*answers: Sequence[str]) -> tuple[list[str], Resolver]:
    """A resolver that gives the next answer at each call, and the list of names it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return asked, resolve


async def test_a_name_that_leads_inside_is_not_called() -> None:
    for addresses in (["10.0.0.9"], ["8.8.8.8", "127.0.0.1"], ["::ffff:169.254.169.254"], ["fe80::1%lo"]):
        _, resolve = resolving(addresses)
        backend = GuardedBackend([], plain=False, resolve=resolve)
        with pytest.raises(OutboundRefused, match="SEATWISE_OUTBOUND_ALLOW"):
            await backend.connect_tcp("vendor.example", 443)


async def test_plain_http_reaches_no_public_address() -> None:
    _, resolve = resolving(["8.8.8.8"])
    async with build_client(allow=LOOPBACK, timeout_s=1, resolve=resolve) as client:
        with pytest.raises(OutboundRefused, match="https"):
            await client.get("http://vendor.example/")


async def test_the_checked_address_is_the_one_connected_to() -> None:
    asked, resolve = resolving(["127.0.0.1"], ["10.0.0.1"])
    async with serving(says(ok(b"{}"))) as server, build_client(allow=LOOPBACK, timeout_s=1, resolve=resolve) as client:
        answer = await client.get(f"http://vendor.example:{server.port}/v1")
        assert answer.status_code == 200
        assert asked == ["vendor.example"]
        assert f"Host: vendor.example:{server.port}".encode() in server.heads[0]
        with pytest.raises(OutboundRefused):
            await client.get(f"http://vendor.example:{server.port}/v1")


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    _, resolve = resolving(["127.0.0.2", "127.0.0.1"])
    async with serving(says(ok(b"{}"))) as server:
        stream = await GuardedBackend(LOOPBACK, plain=True, resolve=resolve).connect_tcp("v.example", server.port, 1)
        await stream.aclose()


async def test_localhost_means_the_allowed_loopback_address_and_asks_no_resolver() -> None:
    asked, resolve = resolving(["10.0.0.1"])
    async with serving(says(ok(b"{}"))) as server, build_client(allow=LOOPBACK, timeout_s=1, resolve=resolve) as client:
        assert (await client.get(f"http://localhost:{server.port}/")).status_code == 200
    assert asked == []
    async with build_client(allow=[ip_network("10.0.0.0/8")], timeout_s=1) as client:
        with pytest.raises(OutboundRefused):
            await client.get("http://localhost:9/")


async def test_localhost_leads_to_no_loopback_address_that_is_not_allowed() -> None:
    async with serving(says(ok(b"{}"))) as server:
        with pytest.raises(httpcore.ConnectError):
            await GuardedBackend([ip_network("::1/128")], plain=True).connect_tcp("localhost", server.port, 1)


@pytest.mark.parametrize("host", ["\uff4cocalhost", "127.0.0.\uff11", "\uff11\uff12\uff17.1"])
async def test_wide_letters_and_digits_are_read_as_what_they_mean(host: str) -> None:
    asked, resolve = resolving(["8.8.8.8"])
    with pytest.raises(OutboundRefused, match="SEATWISE_OUTBOUND_ALLOW"):
        await GuardedBackend([], plain=False, resolve=resolve).connect_tcp(host, 443, 1)
    assert asked == []


async def test_a_name_without_an_address_is_a_connection_error() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(httpcore.ConnectError, match=r"gone\.example"):
        await GuardedBackend([], plain=False, resolve=unknown).connect_tcp("gone.example", 443)
