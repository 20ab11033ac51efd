from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .suite import SECRET, FakeVendor

HOST = "https://acme.okta.com"
OWNER = "00u0000000000000000a"


def person(number: int, status: str = "ACTIVE", **profile: Any) -> dict[str, Any]:
    return {
        "id": f"00u000000000000000{number:02d}",
        "status": status,
        "created": "2025-02-03T09:00:00.000Z",
        "profile": {
            "login": f"ines{number}@example.test",
            "email": f"ines{number}@example.test",
            "firstName": "Ines",
            "lastName": "Holm",
            "mobilePhone": None,
            "costCenter": "R&D",
            **profile,
        },
        "_links": {"self": {"href": f"{HOST}/api/v1/users/00u"}},
    }


def listing(rows: list[Any], following: str | None = None) -> httpx.Response:
    """Okta writes each link on a header line of its own."""
    headers = [("link", f'<{HOST}/api/v1/self>; rel="self"')]
    if following:
        headers.append(("link", f'<{following}>; rel="next"'))
    return httpx.Response(200, json=rows, headers=headers)


class FakeOkta(FakeVendor):
    """`people` counts those of every status; every third is deprovisioned."""

    key = "okta"
    scheme = "api_token"
    secrets: ClassVar[Mapping[str, str]] = {"api_token": SECRET}
    options: ClassVar[Mapping[str, Any]] = {"sso_url": HOST}

    def __init__(self, people: int = 5) -> None:
        super().__init__(people)
        everyone = [person(n, "DEPROVISIONED" if n % 3 == 2 else "ACTIVE") for n in range(people)]
        self.listed = [u for u in everyone if u["status"] != "DEPROVISIONED"]
        self.deprovisioned = [u for u in everyone if u["status"] == "DEPROVISIONED"]
        self.roles: list[dict[str, Any]] | None = [
            {"type": "READ_ONLY_ADMIN", "label": "Read-only Administrator", "status": "ACTIVE"}
        ]
        self.shut: set[str] = set()

    def is_users(self, request: httpx.Request) -> bool:
        return request.url.path.endswith("/api/v1/users")

    def api(self, request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        if last in self.shut or (last == "roles" and self.roles is None):
            return httpx.Response(403, json={"errorCode": "E0000006", "errorSummary": "no"})
        if last == "me":
            return httpx.Response(200, json={"id": OWNER, "profile": {"login": "seatwise@example.test"}})
        if last == "roles":
            return httpx.Response(200, json=self.roles)
        if last == "users":
            return self._users(request.url.params)
        return listing([])

    def _users(self, query: httpx.QueryParams) -> httpx.Response:
        rows = self.deprovisioned if "filter" in query else self.listed
        start = int(query.get("after", "0"))
        kept = {"filter": query["filter"]} if "filter" in query else {}
        following = httpx.QueryParams({**kept, "limit": "200", "after": str(start + 2)})
        more = start + 2 < len(rows)
        return listing(rows[start : start + 2], f"{HOST}/api/v1/users?{following}" if more else None)

    def same_next(self, answer: httpx.Response) -> httpx.Response:
        return listing(json.loads(answer.content), f"{HOST}/api/v1/users?after=2&limit=200")

    def foreign_next(self, answer: httpx.Response) -> httpx.Response:
        return listing([], "https://stranger.example/api/v1/users?after=2")


class FakeOktaService(FakeOkta):
    scheme = "oauth2_private_key_jwt"
    secrets: ClassVar[Mapping[str, str]] = {
        "client_id": "0oaService",
        "private_key": ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode(),
    }
