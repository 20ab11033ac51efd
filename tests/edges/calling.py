"""A caller of the API that keeps all it is answered, but for what an answer is made to show once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.edges.canaries import Canaries

_ID = "[0-9a-f-]{36}"
# The only answers that show a secret, and the one member in which they do.
_SHOWING = {
    ("POST", "/v1/api-keys"): ("key", "API key"),
    ("POST", "/v1/webhooks"): ("signing_secret", "signing secret"),
    ("POST", f"/v1/webhooks/{_ID}/rotate"): ("signing_secret", "signing secret"),
    ("POST", "/oauth/token"): ("access_token", "access token"),
}
# The paths whose lists hold whatever anybody did.
_READ = [
    "/metrics", "/openapi.json", "/v1/credentials", "/v1/instances", "/v1/syncs", "/v1/api-keys", "/v1/audit-events",
    "/v1/audit-events?format=ndjson", "/v1/events", "/v1/webhooks", "/v1/notifications", "/v1/accounts", "/v1/people",
    "/v1/connectors", "/v1/reports", "/v1/overview", "/v1/isc/tenants", "/v1/notification-recipients",
    "/v1/applications", "/v1/fields", "/v1/contracts", "/v1/source-mappings", "/v1/me",
]  # fmt: skip
# So many of a list are read each by itself; of these every one is, for each failed in a way of its own.
_FEW = 3
_EACH = {"/v1/syncs", "/v1/webhooks"}
_BELOW = {
    "/v1/webhooks": ("deliveries",),
    "/v1/syncs": ("errors",),
    "/v1/instances": ("mapping", "syncs"),
    "/v1/reports": ("runs",),
}


def kept_answer(canaries: Canaries, method: str, path: str, status: int, headers: str, body: str) -> bytes:
    """An answer as it is searched: without the secret that it is made to show, which is a canary from now on.

    method, path   of the request, whose own secrets are none of the answer's.
    """
    for (shown_by, pattern), (member, what) in _SHOWING.items():
        if status < 400 and method == shown_by and re.fullmatch(pattern, path):
            value = json.loads(body)[member]
            canaries.know(what, value.removeprefix("whsec_"))
            body = body.replace(json.dumps(value), '"shown once"', 1)
    return f"{status} {headers} {body}".encode("utf-8", "surrogateescape")


@dataclass
class Caller:
    """Calls as an admin."""

    client: httpx.AsyncClient
    key: str
    canaries: Canaries
    answered: list[bytes] = field(default_factory=list)

    async def call(self, method: str, path: str, *, may_break: bool = False, **kwargs: Any) -> Any:
        """What is answered as JSON; None where it is something else.

        may_break   a fault of ours is what is wanted.
        """
        headers = {"Authorization": f"Bearer {self.key}", **kwargs.pop("headers", {})}
        answer = await self.client.request(method, path, headers=headers, **kwargs)
        heads, where = repr(answer.headers.raw), answer.request.url.path
        self.answered.append(kept_answer(self.canaries, method, where, answer.status_code, heads, answer.text))
        assert may_break or answer.status_code != 500, answer.text
        kind = answer.headers.get("content-type", "").partition(";")[0]
        return answer.json() if kind in {"application/json", "application/problem+json"} else None

    async def everything(self) -> None:
        """Read all there is to read, and each thing by itself."""
        for path in _READ:
            found = await self.call("GET", path)
            items = found.get("items", []) if isinstance(found, dict) else []
            named = [item for item in items if isinstance(item, dict) and "id" in item]
            for each in named if path in _EACH else named[:_FEW]:
                if path.count("/") == 2 and path not in {"/v1/events", "/v1/audit-events"}:
                    await self.call("GET", f"{path}/{each['id']}")
                for below in _BELOW.get(path, ()):
                    await self._all_of(f"{path}/{each['id']}/{below}")

    async def _all_of(self, path: str) -> None:
        found = await self.call("GET", path) or {}
        for each in found.get("items", [])[:_FEW]:
            if path.endswith("/deliveries"):
                await self.call("GET", f"/v1/deliveries/{each['id']}")
            if path.endswith("/runs"):
                await self.call("GET", f"/v1/report-runs/{each['id']}")
                await self.call("GET", f"/v1/report-runs/{each['id']}/rows")
