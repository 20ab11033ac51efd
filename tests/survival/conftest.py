"""What the fault tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from starlette.requests import Request

from app.demo.vendors.vendor import limit_of
from app.vault import generate_key
from tests.survival.dying import Nursery, nursery
from tests.survival.lab import Lab

PAGE = 20


@pytest.fixture(scope="session")
def nursed() -> Iterator[Nursery]:
    with nursery() as made:
        yield made


@pytest_asyncio.fixture(scope="module")
async def lab(
    server_url: str, template: str, nursed: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lab]:
    yield Lab(server_url, template, nursed, tmp_path_factory.mktemp("faults"), generate_key())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated Okta gives few records at a time, so that few people are many pages."""

    def small(request: Request, *, default: int, most: int) -> int:
        return limit_of(request, default=min(default, PAGE), most=min(most, PAGE))

    monkeypatch.setattr("app.demo.vendors.okta.limit_of", small)
