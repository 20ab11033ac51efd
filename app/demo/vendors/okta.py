"""A simulated Okta organization.

Facts: developer.okta.com, the Management API's OpenAPI document of 2026.06 and public recordings of real answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from app.demo.vendors.okta_oauth import ServiceClient
from app.demo.vendors.okta_queries import (
    app_fits,
    bucket_of,
    clauses,
    event_filter,
    holds,
    log_position,
    member,
    okta_error,
    parse_time,
)
from app.demo.vendors.people import mix
from app.demo.vendors.roster import Record
from app.demo.vendors.signons import Event, persisted_key, published_key
from app.demo.vendors.times import DAY_MS, iso, to_ms
from app.demo.vendors.tokens import Window
from app.demo.vendors.vendor import Refusal, Vendor, bearer, form_of, get, json_response, limit_of, seal_cursor
from app.demo.vendors.world import World

API_TOKEN = "00demo-seatwise-api-token-7Qm2xR4tLw9z"
LIMITS = {"users": 600, "apps": 100, "logs": 120, "oauth": 300, "other": 1200}
_ROLE_LABELS = {"READ_ONLY_ADMIN": "Read-Only Administrator", "SUPER_ADMIN": "Super Administrator"}
_LOG_DAYS = 90


class OktaVendor(Vendor):
    """limits  requests of each bucket (users, apps, logs, oauth, other) in each `window_s` seconds; those not named
    have ten thousand. `LIMITS` are figures of a small real organization.
    """

    key = "okta"
    root = "/api/v1"
    documented_host = "https://demo.okta.com"

    def __init__(
        self,
        world: World,
        *,
        links: str = "own",
        record: bool = True,
        limits: dict[str, int] | None = None,
        window_s: float = 60,
    ) -> None:
        super().__init__(world, links=links, record=record)
        self.tenant = world.okta
        self.tokens = self.tenant.tokens
        self.tokens.admit(API_TOKEN)
        self.client = ServiceClient(self.tenant)
        self.windows = {name: Window((limits or {}).get(name, 10_000), window_s) for name in LIMITS}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/oauth2/v1/token", self._token, methods=["POST"]),
            get("/oauth2/v1/clients/{client_id}/roles", self._client_roles),
            get("/.well-known/okta-organization", self._organization),
            get("/api/v1/users", self._users),
            get("/api/v1/users/{user_id}", self._user),
            get("/api/v1/users/{user_id}/roles", self._user_roles),
            get("/api/v1/users/{user_id}/appLinks", self._app_links),
            get("/api/v1/apps", self._apps),
            get("/api/v1/apps/{app_id}", self._app_entry),
            get("/api/v1/apps/{app_id}/users", self._app_users),
            get("/api/v1/logs", self._logs),
            Route("/api/v1/api-tokens/current", self._revoke_current, methods=["DELETE"]),
        ]

    def error(self, status: int) -> Refusal:
        return okta_error(status)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request in its bucket and tell the quota in the answer's headers."""
        window = self.windows[bucket_of(scope["path"])]
        allowed = window.take()

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Rate-Limit-Limit"] = str(window.limit)
                headers["X-Rate-Limit-Remaining"] = str(window.remaining)
                headers["X-Rate-Limit-Reset"] = str(window.resets_at)
                headers["X-Okta-Request-Id"] = f"{mix(window.used, window.resets_at):016x}"
            await send(message)

        if allowed:
            await super().serve(scope, receive, telling)
        else:
            refusal = okta_error(429)
            await json_response(refusal.body, 429)(scope, receive, telling)

    # Who calls

    def _authorize(self, request: Request, scope: str, *, role_needed: bool = True) -> None:
        ssws = bearer(request, "ssws")
        if ssws is not None:
            if ssws != API_TOKEN or self.tokens.grant(ssws) is None:
                raise okta_error(401)
        else:
            self._check_access_token(bearer(request), scope)
        if role_needed and not self.tenant.roles:
            raise okta_error(403)

    def _check_access_token(self, token: str | None, scope: str) -> None:
        grant = self.tokens.grant(token) if token and token != API_TOKEN else None
        if grant is None:
            raise okta_error(401)
        if scope not in grant.scopes:
            refusal = okta_error(403)
            refusal.headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
            raise refusal

    async def _token(self, request: Request) -> Response:
        form = await form_of(request)
        audiences = {f"{host}/oauth2/v1/token" for host in (f"http://{request.headers['host']}", self.documented_host)}
        scopes = self.client.scopes_granted(form, audiences, "dpop" in request.headers)
        return json_response(
            {
                "token_type": "Bearer",
                "expires_in": self.tokens.life_s,
                "access_token": self.tokens.issue(scopes),
                "scope": " ".join(sorted(scopes)),
            }
        )

    async def _revoke_current(self, request: Request) -> Response:
        self._authorize(request, "okta.apiTokens.manage", role_needed=False)
        self.tokens.revoke(bearer(request, "ssws"))
        return Response(status_code=204)

    async def _organization(self, request: Request) -> Response:
        return json_response({"id": "00odemo4x5d7", "_links": {"organization": {"href": self.host(request)}}})

    def _roles(self) -> Response:
        made = iso(self.tenant.plan.created(0))
        return json_response(
            [
                {
                    "id": f"ra1{index:05d}4x5d7",
                    "label": _ROLE_LABELS.get(role, role.replace("_", " ").title()),
                    "type": role,
                    "status": "ACTIVE",
                    "created": made,
                    "lastUpdated": made,
                    "assignmentType": "USER",
                }
                for index, role in enumerate(self.tenant.roles)
            ]
        )

    async def _client_roles(self, request: Request) -> Response:
        self._authorize(request, "okta.roles.read", role_needed=False)
        if request.path_params["client_id"] != self.client.client_id:
            raise okta_error(404)
        return self._roles()

    async def _user_roles(self, request: Request) -> Response:
        self._authorize(request, "okta.roles.read", role_needed=False)
        return self._roles() if self._number(request) == 0 else json_response([])

    # Users

    async def _users(self, request: Request) -> Response:
        self._authorize(request, "okta.users.read")
        query = request.query_params
        limit = limit_of(request, default=200, most=200)
        start = self._after(query["after"]) + 1 if "after" in query else 0
        found = list(islice(self._matching(query.get("filter") or query.get("search"), start), limit + 1))
        return self._page(
            request,
            [self.tenant.roster.record(n) for n in found[:limit]],
            f"000{self.tenant.roster.ids.encode(found[limit - 1])}" if len(found) > limit else None,
        )

    def _after(self, cursor: str) -> int:
        number = self.tenant.roster.ids.decode(cursor.removeprefix("000"))
        if number is None:
            raise okta_error(400, "E0000029", "Invalid paging request.", "Invalid cursor.")
        return number

    def _matching(self, expression: str | None, start: int) -> Iterator[int]:
        """Numbers of users; without an expression those of DEPROVISIONED users are left out."""
        tenant = self.tenant
        if not expression:
            return (n for n in tenant.roster.numbers(start) if tenant.status(n) != "DEPROVISIONED")
        alternatives = [clauses(part) for part in re.split(r"\s+or\s+", expression, flags=re.IGNORECASE)]
        return (n for n in tenant.roster.numbers(start) if any(self._fits(n, terms) for terms in alternatives))

    def _fits(self, number: int, terms: list[tuple[str, str, str]]) -> bool:
        """Whether a user meets all terms; the status is compared first, without building the record."""
        if any(value != self.tenant.status(number) for field, _, value in terms if field == "status"):
            return False
        others = [term for term in terms if term[0] != "status"]
        record = self.tenant.roster.record(number) if others else {}
        return all(holds(member(record, field), op, value) for field, op, value in others)

    def _number(self, request: Request) -> int:
        """The user that a path names: an id, a login, or `me` for the owner of the API token."""
        name = request.path_params["user_id"]
        try:
            if name == "me" and bearer(request, "ssws"):
                return 0
            return self.tenant.roster.number(name)
        except KeyError:
            raise okta_error(404, None, f"Not found: Resource not found: {name} (User)") from None

    async def _user(self, request: Request) -> Response:
        self._authorize(request, "okta.users.read", role_needed=False)
        return json_response(self.tenant.roster.record(self._number(request)))

    async def _app_links(self, request: Request) -> Response:
        self._authorize(request, "okta.users.read")
        number = self._number(request)
        links = [
            {
                "id": f"{app['id']}{number}",
                "label": app["label"],
                "appName": app["name"],
                "appInstanceId": app["id"],
                "appAssignmentId": f"0ua{number}",
                "hidden": False,
            }
            for app in self.tenant.applications
            if next(self.tenant.seats(app["id"], number), None) == number
        ]
        return json_response(links)

    # Applications

    async def _apps(self, request: Request) -> Response:
        self._authorize(request, "okta.apps.read")
        query = request.query_params
        apps = [app for app in self.tenant.applications if app_fits(app, query.get("filter"), query.get("q"))]
        after = next((i for i, app in enumerate(apps) if app["id"] == query.get("after")), None)
        if "after" in query and after is None:
            raise okta_error(400, "E0000029", "Invalid paging request.", "Invalid cursor.")
        limit = limit_of(request, default=20, most=200)
        start = 0 if after is None else after + 1
        page = apps[start : start + limit]
        return self._page(request, page, page[-1]["id"] if start + limit < len(apps) else None)

    async def _app_entry(self, request: Request) -> Response:
        self._authorize(request, "okta.apps.read")
        return json_response(self._find_app(request))

    def _find_app(self, request: Request) -> Record:
        wanted = request.path_params["app_id"]
        for app in self.tenant.applications:
            if app["id"] == wanted:
                return app
        raise okta_error(404, None, f"Not found: Resource not found: {wanted} (AppInstance)")

    async def _app_users(self, request: Request) -> Response:
        self._authorize(request, "okta.apps.read")
        app_id = self._find_app(request)["id"]
        query = request.query_params
        limit = limit_of(request, default=50, most=500)
        start = self._after(query["after"]) + 1 if "after" in query else 0
        found = list(islice(self.tenant.seats(app_id, start), limit + 1))
        records = [self.tenant.seat_record(app_id, n) for n in found[:limit]]
        if query.get("expand") == "user":
            records = [
                {**r, "_embedded": {"user": self.tenant.roster.record(n)}} for r, n in zip(records, found, strict=False)
            ]
        cursor = self.tenant.roster.ids.encode(found[limit - 1]) if len(found) > limit else None
        return self._page(request, records, cursor)

    # System Log

    async def _logs(self, request: Request) -> Response:
        self._authorize(request, "okta.logs.read")
        query = request.query_params
        if "since" in query and "after" in query:
            raise okta_error(400, None, None, "since and after cannot be used together.")
        bounded, newest_first = "until" in query, query.get("sortOrder") == "DESCENDING"
        oldest, position = self._log_start(query.get("since"), query.get("until"), query.get("after"))
        log, limit = self.tenant.log, limit_of(request, default=100, most=1000)
        if bounded:
            read = log.published_newest_first if newest_first else log.published
            events = read(oldest, parse_time("until", query["until"]), position)
        else:
            events = log.persisted(oldest, position)
        found = list(islice(filter(event_filter(query.get("filter"), self.tenant.event_app), events), limit + 1))
        page, key = found[:limit], published_key if bounded else persisted_key
        after = seal_cursor("log", oldest, *(key(page[-1]) if page else position or (oldest, -1)))
        more = len(found) > limit or not bounded
        return self._page(request, [self._log_record(e) for e in page], after if more else None)

    def _log_start(self, since: str | None, until: str | None, after: str | None) -> tuple[int, tuple[int, int] | None]:
        """Epoch milliseconds from which the query sees events, and the key of the last event seen, if any."""
        if after is None:
            return self._oldest(since, until), None
        oldest, ms, serial = log_position(after)
        return oldest, (ms, serial)

    def _oldest(self, since: str | None, until: str | None) -> int:
        """Epoch milliseconds from which a query may see events: 90 days are kept, 180 may be asked for."""
        now = self.tenant.plan.now()
        if since is None:
            end = parse_time("until", until) if until else to_ms(now)
            return end - 7 * DAY_MS
        asked = parse_time("since", since)
        if asked < to_ms(now - timedelta(days=180)):
            raise okta_error(400, "E0000053", "Invalid since: more than 180 days back.", "since")
        return max(asked, to_ms(now - timedelta(days=_LOG_DAYS)))

    def _log_record(self, event: Event) -> Record:
        tenant = self.tenant
        return tenant.records.event(event, tenant.event_app(event), tenant.label(event))

    def _page(self, request: Request, records: list[Any], after: str | None) -> Response:
        """A page with its links, each on a header line of its own, as Okta sends them."""
        response = json_response(records)
        response.headers.append("link", f'<{self.link(request)}>; rel="self"')
        if after is not None:
            response.headers.append("link", f'<{self.next_link(request, after=after, since=None)}>; rel="next"')
        return response
