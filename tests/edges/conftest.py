from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import httpcore
import httpx
import pytest
import pytest_asyncio

from app.core.settings import Network
from app.http import egress
from app.main import create_app
from tests.conftest import Api
from tests.edges.outbound import NAMES, Listener


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    """Listens on loopback, which nobody is allowed to reach; at the end nobody may have come."""
    made = Listener()
    server = await asyncio.start_server(made.hear, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    others = [await asyncio.start_server(made.hear, host, made.port) for host in ("::1", "127.255.255.254")]
    yield made
    for each in (server, *others):
        each.close()
        await each.wait_closed()
    assert made.heard == 0


async def application(api: Api, *allow: Network) -> AsyncIterator[Api]:
    """The same API where only these networks may be reached."""
    settings = api.runtime.settings.model_copy(
        update={"outbound_allow": allow, "vendor_timeout_s": 1, "webhook_timeout": 1}
    )
    runtime = replace(api.runtime, settings=settings)
    transport = httpx.ASGITransport(create_app(runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://seatwise.test") as client:
        yield replace(api, client=client, runtime=runtime)


@pytest_asyncio.fixture(scope="module")
async def guarded(api: Api) -> AsyncIterator[Api]:
    """A site that allows no network of its own."""
    async for made in application(api):
        yield made


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses to which connections were tried; none is made. Names lead where NAMES says."""
    addresses: list[str] = []
    asked: dict[str, int] = {}

    async def connect(_self: object, host: str, port: int, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        addresses.append(host)
        raise httpcore.ConnectError("nobody answers here")

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked[host] = asked.get(host, 0) + 1
        return NAMES[host][min(asked[host], len(NAMES[host])) - 1]

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    monkeypatch.setattr(egress, "resolve_by_system", resolve)
    return addresses
