"""A small tenant of Identity Security Cloud on a loopback port, which answers as its documentation says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SECRET = "the-secret-of-the-tenant"
RIGHTS = ("idn:sources:read", "idn:accounts:read")


def account(number: int, native_identity: str, name: str | None = None, mail: str | None = None) -> dict[str, Any]:
    return {
        "id": f"2c91808474{number:022d}",
        "nativeIdentity": native_identity,
        "name": name or native_identity,
        "attributes": {"mail": mail, "IIQDisabled": False},
        "disabled": False,
    }


def refusal(status: int, code: str, text: str) -> Response:
    body = {
        "detailCode": code,
        "trackingId": "a2318bced0364fe59899dba4b12b76c3",
        "messages": [{"locale": "en-US", "localeOrigin": "DEFAULT", "text": text}],
    }
    return JSONResponse(body, status)


@dataclass
class Tenant:
    """Its sources, the accounts of each by its id, and what its token may.

    asked   path and query of each request but those for tokens.
    fault   answers every such request instead.
    gate    where it is set, lists of accounts wait for it.
    """

    sources: list[dict[str, Any]] = field(default_factory=list)
    accounts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rights: tuple[str, ...] = RIGHTS
    claims: dict[str, Any] = field(default_factory=lambda: {"org": "acme", "user_name": "seatwise.service"})
    secret: str = SECRET
    asked: list[str] = field(default_factory=list)
    fault: Response | None = None
    gate: asyncio.Event | None = None
    url: str = ""

    def source(self, source_id: str, name: str, **more: Any) -> str:
        self.sources.append({"id": source_id, "name": name, "type": "DelimitedFile", **more})
        self.accounts.setdefault(source_id, [])
        return source_id

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/oauth/token", self.token, methods=["POST"]),
                Route("/sources/v1", self.list_sources),
                Route("/sources/v1/{source_id}", self.get_source),
                Route("/accounts/v1", self.list_accounts),
            ]
        )

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("grant_type") != "client_credentials" or form.get("client_secret") != self.secret:
            return JSONResponse({"error": "invalid_client", "error_description": "Bad client credentials"}, 401)
        claims = base64.urlsafe_b64encode(json.dumps({**self.claims, "scope": list(self.rights)}).encode()).decode()
        token = f"eyJhbGciOiJSUzI1NiJ9.{claims.rstrip('=')}.c2ln"
        return JSONResponse({"access_token": token, "token_type": "bearer", "expires_in": 749})

    def _refused(self, request: Request, right: str) -> Response | None:
        self.asked.append(str(request.url).removeprefix(self.url))
        if self.fault is not None:
            return self.fault
        if not request.headers.get("authorization", "").startswith("Bearer eyJ"):
            return JSONResponse({"error": "JWT validation failed: JWT is malformed"}, 401)
        if right not in self.rights:
            return refusal(403, "403 Forbidden", "The server understood the request but refuses to authorize it.")
        return None

    async def list_sources(self, request: Request) -> Response:
        if refused := self._refused(request, "idn:sources:read"):
            return refused
        by = request.query_params.get("sorters", "name")
        rows = sorted(self.sources, key=lambda row: str(row[by.lstrip("-")]), reverse=by.startswith("-"))
        return self._page(request, rows)

    async def get_source(self, request: Request) -> Response:
        if refused := self._refused(request, "idn:sources:read"):
            return refused
        found = [row for row in self.sources if row["id"] == request.path_params["source_id"]]
        if not found:
            return refusal(404, "404 Not found", "The server did not find the resource.")
        return JSONResponse(found[0])

    async def list_accounts(self, request: Request) -> Response:
        if refused := self._refused(request, "idn:accounts:read"):
            return refused
        if self.gate is not None:
            await self.gate.wait()
        words = request.query_params.get("filters", "")
        if not words:
            return self._page(request, [row for rows in self.accounts.values() for row in rows])
        source_id = words.removeprefix('sourceId eq "').removesuffix('"')
        return self._page(request, sorted(self.accounts.get(source_id, []), key=lambda row: str(row["id"])))

    def _page(self, request: Request, rows: list[dict[str, Any]]) -> Response:
        limit, offset = (int(request.query_params.get(name, "0")) for name in ("limit", "offset"))
        if not 0 < limit <= 250:
            return refusal(400, "400.1 Bad request content", "limit")
        headers = {"X-Total-Count": str(len(rows))} if request.query_params.get("count") == "true" else {}
        return JSONResponse(rows[offset : offset + limit], headers=headers)


@asynccontextmanager
async def running(tenant: Tenant) -> AsyncIterator[Tenant]:
    """The tenant, with its address as `url`."""
    config = uvicorn.Config(tenant.app(), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    tenant.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield tenant
    finally:
        server.should_exit = server.force_exit = True
        await task
        sock.close()
