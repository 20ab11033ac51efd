"""The console's client of the REST API, with the verbs and answers that only the demo needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.console.client import ApiClient
from app.console.problems import problem_of


class DemoClient(ApiClient):
    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("PUT", path, body=body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("PATCH", path, body=body)

    async def post_for_text(self, path: str, body: Mapping[str, Any]) -> str:
        """The answer of a route that gives no JSON."""
        answer = await self._http.post(path, json=body, headers={"Accept": "*/*"})
        if not answer.is_success:
            raise problem_of(answer)
        return answer.text
