from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.connectors.contract import Check
from tests.api.instances import Vendor


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Lets the vendor answer a check so; gives the options that it is asked with."""

    def answering(outcome: Check | Exception) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        class Connector:
            async def check(self) -> Check:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

        class Connection:
            connector = Connector()

        @asynccontextmanager
        async def connect(
            _runtime: object, credential: Any, options: dict[str, Any], **_more: Any
        ) -> AsyncIterator[Connection]:
            asked.append({**credential.options, **options})
            yield Connection()

        monkeypatch.setattr("app.credentials.connect", connect)
        return asked

    return answering
