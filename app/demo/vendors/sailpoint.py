"""A simulated tenant of SailPoint Identity Security Cloud.

Facts: developer.sailpoint.com/docs/api (authentication, versioning, standard collection parameters, rate limits,
errors). The trigger of a workflow has a client of its own, which may start it and nothing else.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from itertools import islice

import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.demo.vendors.roster import Record
from app.demo.vendors.sailpoint_queries import Condition, Unreadable, fits, pinned, read_filter
from app.demo.vendors.sailpoint_tenant import LIFE_S, ORG, STARTING, TENANT_ID, Execution
from app.demo.vendors.times import iso, to_ms
from app.demo.vendors.tokens import Window
from app.demo.vendors.vendor import Handler, Refusal, Vendor, bearer, form_of, get, json_response
from app.demo.vendors.world import World

CLIENT_ID = "demo-isc-client-41d5a2"
CLIENT_SECRET = "demo-isc-secret-Zp7wQ3sLr0Yv"
TRIGGER_CLIENT_ID = "demo-isc-trigger-90be17"
TRIGGER_CLIENT_SECRET = "demo-isc-trigger-secret-Nk2fXw8uTb"
LIMITS = {"gateway": (100, 10.0)}
DEPRECATED = ("v3", "beta", "v2024", "v2025", "v2026")
PAGE = 250
_SOURCE_FILTERS = {"id": "eq in sw", "name": "eq in sw co", "type": "eq in sw", "connectorName": "eq in sw"}
_ACCOUNT_FILTERS = {
    **dict.fromkeys(("id", "identityId", "name", "nativeIdentity", "sourceId"), "eq in sw"),
    "uncorrelated": "eq",
    "manuallyCorrelated": "eq",
}
_SORTERS = ("id", "name", "type", "created", "modified", "sourceId", "nativeIdentity", "identityId")
_ERRORS = {
    400: (
        "400.1 Bad Request Content",
        "The request was syntactically correct but its content is semantically invalid.",
    ),
    403: ("403 Forbidden", "The server understood the request but refuses to authorize it."),
    404: ("404 Not found", "The server did not find a current representation for the target resource."),
    405: ("405 Method not allowed", "The method is not allowed."),
}
_NOTHING_RAN = "Workflow was not executed externally. Check enabled flag on workflow definition"


def isc_error(status: int, message: str | None = None) -> Refusal:
    """An error of the tenant; 401 and 429 have shapes of their own."""
    if status == 401:
        return Refusal(401, {"error": message or "JWT validation failed: JWT is expired"})
    if status == 429:
        return Refusal(429, {"message": " Rate Limit Exceeded "}, {"Retry-After": "1"})
    code, text = _ERRORS.get(status, (f"{status}.0 Internal Fault", "An internal fault occurred."))
    words = {"locale": "en-US", "localeOrigin": "DEFAULT", "text": message or text}
    return Refusal(status, {"detailCode": code, "trackingId": uuid.uuid4().hex, "messages": [words], "causes": []})


class SailPointVendor(Vendor):
    """limits  requests and seconds of `gateway`, counted over all clients; without it there is no limit. `LIMITS` are
    the documented ones, which hold for each client.
    """

    key = "sailpoint-isc"
    root = ""
    documented_host = "https://example-tenant.api.identitynow.com"

    def __init__(
        self,
        world: World,
        *,
        links: str = "own",
        record: bool = True,
        limits: dict[str, tuple[int, float]] | None = None,
    ) -> None:
        super().__init__(world, links=links, record=record)
        self.tenant = world.sailpoint
        self.tokens = self.tenant.tokens
        self.windows = {name: Window(*rate) for name, rate in (limits or {}).items()}
        self._key = OctKey.generate_key(256)

    def routes(self) -> list[BaseRoute]:
        external = "execute/external/{workflow}"
        triggers: list[tuple[str, Handler]] = [
            (f"/workflows/v1/{external}", self._execute),
            (f"/workflows/v1/{external}/test", self._test),
        ]
        for old in DEPRECATED:
            triggers.append((f"/{old}/workflows/{external}", _deprecated(self._execute)))
            triggers.append((f"/{old}/workflows/{external}/test", _deprecated(self._test)))
        return [
            get("/oauth/info", self._info),
            Route("/oauth/token", self._token, methods=["POST"]),
            get("/sources/v1", self._sources),
            get("/sources/v1/{source}", self._source),
            get("/accounts/v1", self._accounts),
            get("/workflow-executions/v1/{execution}", self._execution),
            get("/workflow-executions/v1/{execution}/history", self._history),
            *(Route(path, handler, methods=["POST"]) for path, handler in triggers),
        ]

    def error(self, status: int) -> Refusal:
        return isc_error(status)

    def forget_tokens(self) -> None:
        """Every token ends at this moment, whatever life it was given."""
        self.tokens.revoke()

    # Who calls

    async def _info(self, request: Request) -> Response:
        return json_response({"tokenEndpoint": f"{self.host(request)}/oauth/token"})

    async def _token(self, request: Request) -> Response:
        fields = {**request.query_params, **await form_of(request)}
        clients = {
            (CLIENT_ID, CLIENT_SECRET): frozenset(self.tenant.rights),
            (TRIGGER_CLIENT_ID, TRIGGER_CLIENT_SECRET): STARTING,
        }
        client_id = fields.get("client_id", "")
        rights = clients.get((client_id, fields.get("client_secret", "")))
        if rights is None or self.tokens.refuse_client:
            raise Refusal(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
        if fields.get("grant_type") != "client_credentials":
            description = "Unsupported grant type"
            raise Refusal(400, {"error": "unsupported_grant_type", "error_description": description})
        return json_response(self._granted(client_id, rights))

    def _granted(self, client_id: str, rights: frozenset[str]) -> Record:
        life_s = self.tokens.life_s or LIFE_S
        facts = {"scope": " ".join(sorted(rights)), "tenant_id": TENANT_ID, "org": ORG, "jti": uuid.uuid4().hex}
        now = int(time.time())
        claims = {**facts, "client_id": client_id, "iat": now, "exp": now + int(life_s)}
        token = jwt.encode({"alg": "HS256"}, claims, self._key)
        self.tokens.admit(token, rights, life_s)
        self.tokens.issued += 1
        return {"access_token": token, "token_type": "bearer", "expires_in": life_s, **facts}

    def _authorize(self, request: Request, right: str) -> None:
        window = self.windows.get("gateway")
        if window and not window.take():
            refusal = isc_error(429)
            refusal.headers["Retry-After"] = str(window.wait_s)
            raise refusal
        token = bearer(request)
        grant = self.tokens.grant(token) if token else None
        if grant is None:
            raise isc_error(401)
        if right not in grant.scopes:
            raise isc_error(403)

    # Reading

    def _page(self, request: Request, records: Iterable[Record]) -> Response:
        """A list: `sorters`, `limit` and `offset`, and with `count=true` the total in a header."""
        records = _sorted(request, records)
        limit, offset = _number(request, "limit", PAGE), _number(request, "offset", 0)
        if limit > PAGE:
            raise isc_error(400, f"limit must be at most {PAGE}.")
        if request.query_params.get("count") != "true":
            return json_response(list(islice(records, offset, offset + limit)))
        all_of_them = list(records)
        total = {"X-Total-Count": str(len(all_of_them))}
        return json_response(all_of_them[offset : offset + limit], headers=total)

    async def _sources(self, request: Request) -> Response:
        self._authorize(request, "idn:sources:read")
        condition = _filter(request, _SOURCE_FILTERS)
        return self._page(request, filter(fits(condition), self.tenant.sources))

    async def _source(self, request: Request) -> Response:
        self._authorize(request, "idn:sources:read")
        for source in self.tenant.sources:
            if source["id"] == request.path_params["source"]:
                return json_response(source)
        raise isc_error(404)

    async def _accounts(self, request: Request) -> Response:
        self._authorize(request, "idn:accounts:read")
        condition = _filter(request, _ACCOUNT_FILTERS)
        return self._page(request, filter(fits(condition), self.tenant.accounts(pinned(condition, "sourceId"))))

    # Workflows

    async def _execute(self, request: Request) -> Response:
        given = await self._input(request)
        execution = self.tenant.run(request.path_params["workflow"], given)
        return json_response({"workflowExecutionId": execution.id} if execution else {"message": _NOTHING_RAN})

    async def _test(self, request: Request) -> Response:
        return json_response({"payload": await self._input(request)})

    def _found(self, request: Request) -> Execution:
        self._authorize(request, "sp:workflow-execution:read")
        for execution in self.tenant.executions:
            if execution.id == request.path_params["execution"]:
                return execution
        raise isc_error(404)

    async def _execution(self, request: Request) -> Response:
        found = self._found(request)
        at = iso(to_ms(found.at))
        body = {"id": found.id, "workflowId": found.workflow_id, "requestId": found.id.replace("-", "")}
        return json_response({**body, "startTime": at, "closeTime": at, "status": "Completed"})

    async def _history(self, request: Request) -> Response:
        """What happened in an execution; what it was given stands in the first event."""
        found = self._found(request)
        at = iso(to_ms(found.at))
        started = {"type": "WorkflowExecutionStarted", "timestamp": at, "attributes": {"input": found.input}}
        return json_response([started, {"type": "WorkflowExecutionCompleted", "timestamp": at, "attributes": {}}])

    async def _input(self, request: Request) -> Record:
        """What a trigger is given, once the caller may pull it."""
        self._authorize(request, "sp:workflow-execute:external")
        if request.path_params["workflow"] not in self.tenant.workflows:
            raise isc_error(404)
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError:
            raise isc_error(400, "The body is not JSON.") from None
        given = body.get("input") if isinstance(body, dict) else None
        if not isinstance(given, dict):
            raise isc_error(400, "The body needs an object named input.")
        return given


def _deprecated(handler: Handler) -> Handler:
    """A handler of an old generation of the API, which says so in each of its answers."""

    async def marked(request: Request) -> Response:
        try:
            response = await handler(request)
        except Refusal as refusal:
            refusal.headers["X-Deprecated"] = "true"
            raise
        response.headers["X-Deprecated"] = "true"
        return response

    return marked


def _filter(request: Request, allowed: dict[str, str]) -> Condition | None:
    try:
        return read_filter(request.query_params.get("filters"), allowed)
    except Unreadable as problem:
        raise isc_error(400, str(problem)) from None


def _sorted(request: Request, records: Iterable[Record]) -> Iterable[Record]:
    """In the order of `sorters`: names of fields, the weightiest first, each with a minus for descending."""
    for word in reversed(request.query_params.get("sorters", "").split(",")):
        name = word.removeprefix("-").strip()
        if name and name not in _SORTERS:
            raise isc_error(400, f"{name} cannot be sorted by.")
        if name:
            records = sorted(records, key=lambda record: str(record.get(name, "")), reverse=word.startswith("-"))
    return records


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise isc_error(400, f"{name} must be a whole number.")
    return int(text)
