"""A simulated PingOne environment.

Facts: developer.pingidentity.com/pingone-api (paging, error codes, audit activities, rate limits, roles).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Literal
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.demo.vendors.people import mix
from app.demo.vendors.pingone_queries import Unreadable, activity_filter, user_filter
from app.demo.vendors.pingone_records import CLIENT_ID, ENVIRONMENT, POPULATIONS
from app.demo.vendors.pingone_tenant import ROLES
from app.demo.vendors.roster import Record
from app.demo.vendors.signons import Event, published_key
from app.demo.vendors.times import to_ms
from app.demo.vendors.tokens import Window
from app.demo.vendors.vendor import (
    Refusal,
    Vendor,
    bearer,
    form_of,
    get,
    json_response,
    limit_of,
    open_cursor,
    seal_cursor,
)
from app.demo.vendors.world import World

CLIENT_SECRET = "demo-pingone-secret-V8s0qKf2~ZtY1"
LIMITS = {"audit": (10, 1.0), "configuration": (600, 60.0)}
AuthMethod = Literal["client_secret_post", "client_secret_basic"]

_DIRECTORY = ("Identity Data Admin", "Identity Data Read-Only Admin")
_CONFIGURATION = ("Environment Admin", "Client Application Developer", "Configuration Read-Only Admin")
_AUDIT = ("Environment Admin", "Configuration Read-Only Admin", "Identity Data Read-Only Admin")
_RETENTION = timedelta(days=14)
_ERRORS = {
    400: ("INVALID_REQUEST", "The request could not be completed. The request was invalid."),
    401: ("ACCESS_FAILED", "The request could not be completed. You do not have access to this resource."),
    403: ("ACCESS_FAILED", "The request could not be completed. You do not have access to this resource."),
    404: ("NOT_FOUND", "The request could not be completed. The requested resource was not found."),
    405: ("METHOD_NOT_ALLOWED", "The request could not be completed. The method is not allowed."),
    429: ("REQUEST_LIMITED", "The request could not be completed. The request limit has been reached."),
    503: ("SERVICE_UNAVAILABLE", "The request could not be completed. Try again later."),
}
_DETAILS = {
    401: ("INVALID_TOKEN", "The authorization token is either missing or invalid, or it has expired."),
    403: ("INSUFFICIENT_PERMISSIONS", "The actor does not have the permissions for this request."),
}


def pingone_error(status: int, code: str | None = None, detail: str | None = None, target: str = "filter") -> Refusal:
    known = _ERRORS.get(status, ("UNEXPECTED_ERROR", "An unexpected error occurred."))
    body: Record = {"id": f"{mix(status):016x}", "code": code or known[0], "message": known[1]}
    if detail:
        body["details"] = [{"code": "INVALID_VALUE", "target": target, "message": detail}]
    elif status in _DETAILS:
        body["details"] = [{"code": _DETAILS[status][0], "message": _DETAILS[status][1]}]
    return Refusal(status, body, {"Retry-After": "1"} if status == 429 else None)


class PingOneVendor(Vendor):
    """auth_method  the one way of client authentication that the token endpoint takes.
    page_cap        most records of any page; below 200 pages come smaller than asked for.
    limits          requests and seconds of the buckets `audit` and `configuration`; those not named have no limit.
                    `LIMITS` are the documented base rates.
    """

    key = "pingone"
    root = f"/v1/environments/{ENVIRONMENT}"
    documented_host = "https://api.pingone.eu"

    def __init__(
        self,
        world: World,
        *,
        links: str = "own",
        record: bool = True,
        auth_method: AuthMethod = "client_secret_post",
        page_cap: int = 1000,
        limits: dict[str, tuple[int, float]] | None = None,
    ) -> None:
        super().__init__(world, links=links, record=record)
        self.tenant = world.pingone
        self.tokens = self.tenant.tokens
        self.client_secret = CLIENT_SECRET
        self.auth_method = auth_method
        self.page_cap = page_cap
        self.windows = {name: Window(*rate) for name, rate in (limits or {}).items()}

    def routes(self) -> list[BaseRoute]:
        root = "/v1/environments/{environment}"
        return [
            Route("/{environment}/as/token", self._token, methods=["POST"]),
            get("/v1/roles", self._roles),
            get(root, self._environment),
            get(f"{root}/users", self._users),
            get(f"{root}/users/{{user_id}}", self._user),
            get(f"{root}/users/{{user_id}}/memberOfGroups", self._groups_of_user),
            get(f"{root}/populations", self._populations),
            get(f"{root}/groups", self._groups),
            get(f"{root}/groups/{{group_id}}", self._group),
            get(f"{root}/applications", self._applications),
            get(f"{root}/applications/{{app_id}}", self._application),
            get(f"{root}/applications/{{app_id}}/roleAssignments", self._role_assignments),
            get(f"{root}/activities", self._activities),
        ]

    def error(self, status: int) -> Refusal:
        return pingone_error(status)

    def renew_secret(self) -> str:
        """A new client secret; the old one and every token end at this moment."""
        self.client_secret = secrets.token_urlsafe(24)
        self.tokens.revoke()
        return self.client_secret

    # Who calls

    async def _token(self, request: Request) -> Response:
        form = await form_of(request)
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        if self.auth_method == "client_secret_basic":
            given = _basic(request)
        elif bearer(request, "basic") is not None:
            given = ("", "")
        known = request.path_params["environment"] == ENVIRONMENT and not self.tokens.refuse_client
        if not known or given != (CLIENT_ID, self.client_secret):
            description = "Request denied: Unsupported authentication method or invalid client credentials"
            raise Refusal(401, {"error": "invalid_client", "error_description": description})
        if form.get("grant_type") != "client_credentials":
            raise Refusal(400, {"error": "unsupported_grant_type", "error_description": "Unsupported grant type"})
        token = self.tokens.issue()
        return json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.tokens.life_s})

    def _authorize(self, request: Request, *roles: str, bucket: str = "configuration") -> None:
        """Quota, token, environment and one of the roles, in this order; without roles the token is enough."""
        window = self.windows.get(bucket)
        if window and not window.take():
            refusal = pingone_error(429)
            refusal.headers["Retry-After"] = str(window.wait_s)
            raise refusal
        if (token := bearer(request)) is None or self.tokens.grant(token) is None:
            raise pingone_error(401)
        if request.path_params.get("environment", ENVIRONMENT) != ENVIRONMENT:
            raise pingone_error(404)
        if roles and not self.tenant.has_role(*roles):
            raise pingone_error(403)

    # Pages

    def _listing(
        self, request: Request, name: str, records: list[Record], *, count: int | None, cursor: str | None
    ) -> Response:
        """A HAL page. `count` is the total over all pages, left out where the endpoint gives none."""
        links = {"self": {"href": self.link(request)}}
        if cursor is not None:
            links["next"] = {"href": self.next_link(request, cursor=cursor)}
        body: Record = {"_links": links, "_embedded": {name: records}, "size": len(records)}
        return json_response(body if count is None else {**body, "count": count})

    def _limit(self, request: Request, *, default: int, most: int) -> int:
        return min(self.page_cap, limit_of(request, default=default, most=most))

    def _by_position(self, request: Request, name: str, records: list[Record]) -> Response:
        limit = self._limit(request, default=100, most=200)
        (start,) = self._position(request, name, 1) or (0,)
        page = records[start : start + limit]
        more = seal_cursor(name, start + limit) if start + limit < len(records) else None
        return self._listing(request, name, page, count=len(records), cursor=more)

    def _position(self, request: Request, name: str, parts: int) -> tuple[int, ...] | None:
        """What the request's cursor stands for, None without one."""
        if "cursor" not in request.query_params:
            return None
        try:
            position = open_cursor(name, request.query_params["cursor"])
        except ValueError:
            position = ()
        if len(position) != parts:
            raise pingone_error(400, "INVALID_DATA", "The cursor is not valid.", "cursor")
        return position

    # Directory

    async def _users(self, request: Request) -> Response:
        self._authorize(request, *_DIRECTORY)
        group, fits = self._user_query(request.query_params.get("filter"))
        limit = self._limit(request, default=100, most=200)
        (start,) = self._position(request, "users", 1) or (0,)
        found = list(islice(self._visible(group, fits, start), limit + 1))
        records = [self.tenant.roster.record(n) for n in found[:limit]]
        cursor = seal_cursor("users", found[limit]) if len(found) > limit else None
        return self._listing(request, "users", records, count=self._count(group, fits), cursor=cursor)

    def _user_query(self, text: str | None) -> tuple[str | None, Callable[[Record], bool] | None]:
        try:
            return user_filter(text)
        except Unreadable as problem:
            raise pingone_error(400, "INVALID_DATA", str(problem)) from None

    def _visible(self, group: str | None, fits: Callable[[Record], bool] | None, start: int = 0) -> Iterator[int]:
        """Users that a filter lets through; a worker confined to one population is silently shown only its users."""
        tenant, population = self.tenant, self.tenant.visible_population()
        numbers: Iterable[int] = tenant.roster.numbers(start) if group is None else tenant.members(group, start)
        if population is not None:
            numbers = (n for n in numbers if POPULATIONS[tenant.records.population(n)][0] == population)
        if fits is not None:
            numbers = (n for n in numbers if fits(tenant.roster.record(n)))
        return iter(numbers)

    def _count(self, group: str | None, fits: Callable[[Record], bool] | None) -> int:
        if group is None and fits is None and self.tenant.visible_population() is None:
            return len(self.tenant.roster)
        return sum(1 for _ in self._visible(group, fits))

    def _user_number(self, request: Request) -> int:
        try:
            return self.tenant.roster.number(request.path_params["user_id"])
        except KeyError:
            raise pingone_error(404) from None

    async def _user(self, request: Request) -> Response:
        self._authorize(request, *_DIRECTORY)
        return json_response(self.tenant.roster.record(self._user_number(request)))

    async def _groups_of_user(self, request: Request) -> Response:
        self._authorize(request, *_DIRECTORY)
        number = self._user_number(request)
        groups = [g for g in self.tenant.groups if next(self.tenant.members(g["id"], number), None) == number]
        return self._by_position(request, "groupMemberships", [{**g, "type": "DIRECT"} for g in groups])

    async def _populations(self, request: Request) -> Response:
        self._authorize(request, *_DIRECTORY, *_CONFIGURATION)
        return self._by_position(request, "populations", [{"id": key, "name": name} for key, name in POPULATIONS])

    # Configuration

    async def _environment(self, request: Request) -> Response:
        self._authorize(request)
        return json_response({"id": ENVIRONMENT, "name": "Seatwise demo", "region": "EU", "type": "SANDBOX"})

    async def _groups(self, request: Request) -> Response:
        self._authorize(request, *_CONFIGURATION)
        return self._by_position(request, "groups", self.tenant.groups)

    async def _group(self, request: Request) -> Response:
        self._authorize(request, *_CONFIGURATION)
        return json_response(_one(self.tenant.groups, request.path_params["group_id"]))

    async def _applications(self, request: Request) -> Response:
        self._authorize(request, *_CONFIGURATION)
        return self._by_position(request, "applications", self.tenant.applications)

    async def _application(self, request: Request) -> Response:
        self._authorize(request, *_CONFIGURATION)
        return json_response(_one(self.tenant.applications, request.path_params["app_id"]))

    async def _roles(self, request: Request) -> Response:
        self._authorize(request)
        roles = [{"id": role_id(name), "name": name, "applicableTo": ["ENVIRONMENT"]} for name in ROLES]
        return self._by_position(request, "roles", roles)

    async def _role_assignments(self, request: Request) -> Response:
        self._authorize(request)
        app = _one(self.tenant.applications, request.path_params["app_id"])
        given = [
            {
                "id": f"{mix(index, 41):016x}",
                "role": {"id": role_id(assignment.role)},
                "scope": {"id": assignment.scope, "type": assignment.scope_type},
                "environment": {"id": ENVIRONMENT},
                "readOnly": False,
            }
            for index, assignment in enumerate(self.tenant.roles if app["id"] == CLIENT_ID else ())
        ]
        return self._by_position(request, "roleAssignments", given)

    # Audit

    async def _activities(self, request: Request) -> Response:
        self._authorize(request, *_AUDIT, bucket="audit")
        try:
            query = activity_filter(request.query_params.get("filter", ""))
        except Unreadable as problem:
            raise pingone_error(400, "INVALID_DATA", str(problem)) from None
        limit = self._limit(request, default=100, most=1000)
        position = self._position(request, "activities", 2)
        oldest = to_ms(self.tenant.plan.now() - _RETENTION)
        events = self.tenant.log.published(
            max(query.since, oldest), query.until, (position[0], position[1]) if position else None
        )
        found = list(islice((pair for pair in map(self._activity, events) if query.fits(pair[1])), limit + 1))
        more = len(found) > limit
        cursor = seal_cursor("activities", *published_key(found[limit - 1][0])) if more else None
        records = [record for _, record in found[:limit]]
        return self._listing(request, "activities", records, count=None, cursor=cursor)

    def _activity(self, event: Event) -> tuple[Event, Record]:
        tenant = self.tenant
        return event, tenant.records.activity(event, tenant.event_app(event), tenant.app_name(event))


def role_id(name: str) -> str:
    return f"f0000000-5ea7-4000-8000-{ROLES.index(name):012x}"


def _one(records: list[Record], wanted: str) -> Record:
    for record in records:
        if record["id"] == wanted:
            return record
    raise pingone_error(404)


def _basic(request: Request) -> tuple[str, str]:
    """Client id and secret of an Authorization header, form-decoded (RFC 6749 section 2.3.1)."""
    try:
        text = base64.b64decode(bearer(request, "basic") or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote(client_id), unquote(secret)
