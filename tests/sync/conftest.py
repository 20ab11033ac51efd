from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from app.sync.runtime import Runtime
from tests.sync.world import World, open_world

OpenWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def opening(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> OpenWorld:
    """Open further instances on the same database."""

    async def open_one(**settings: Any) -> World:
        return await open_world(runtime, monkeypatch, **settings)

    return open_one


@pytest_asyncio.fixture
async def world(opening: OpenWorld) -> World:
    return await opening()
