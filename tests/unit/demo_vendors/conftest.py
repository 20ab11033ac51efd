from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from app.demo.vendors.serve import VendorServer
from app.demo.vendors.vendor import Vendor
from app.demo.vendors.world import World
from tests.unit.demo_vendors.world import TODAY, Serve, Served


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
