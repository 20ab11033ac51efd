"""The console's client of the REST API, with the two verbs that only the demo needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.console.client import ApiClient


class DemoClient(ApiClient):
    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("PUT", path, body=body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("PATCH", path, body=body)
