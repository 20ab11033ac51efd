"""A simulated Ironclad Clickwrap account.

Facts: clickwrap-developer.ironcladapp.com. The body of the token request and the life of a token are not documented:
both forms of body are taken, and no life is told unless the tenant's `expires_in` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.demo.vendors.ironclad_tenant import ACCOUNT
from app.demo.vendors.roster import Record
from app.demo.vendors.tokens import Window
from app.demo.vendors.vendor import Refusal, Vendor, bearer, form_of, get, json_response
from app.demo.vendors.world import World

CLIENT_ID = "demo-clickwrap-client"
CLIENT_SECRET = "demo-clickwrap-secret-4hT9wB1nKc"
ACCESS_TOKEN = "demo-clickwrap-access-token-9Lx3Vd"
LIMITS = {"authenticated": (2000, 60.0), "unauthenticated": (60, 60.0)}
SIGNERS = 25
_ERRORS = {
    400: ("BadRequestError", "The request cannot be understood."),
    401: ("UnauthorizedError", "The access token is missing or invalid."),
    403: ("ForbiddenError", "You have no permission to do this."),
    404: ("NotFoundError", "The resource does not exist."),
    405: ("MethodNotAllowedError", "The method is not allowed."),
    429: ("RateLimitExceededError", "Too many requests. Please retry later."),
}


def clickwrap_error(status: int, message: str | None = None) -> Refusal:
    name, text = _ERRORS.get(status, ("InternalServerError", "Something went wrong."))
    body = {"error": {"message": message or text, "status": status, "name": name, "code": status}}
    return Refusal(status, body, {"Retry-After": "1"} if status == 429 else None)


class IroncladVendor(Vendor):
    """limits  requests and seconds for `authenticated` and `unauthenticated` calls; those not named have no limit.
    `LIMITS` are the documented ones.
    """

    key = "ironclad-clickwrap"
    root = "/v1.1"
    documented_host = "https://api.pactsafe.com"

    def __init__(
        self,
        world: World,
        *,
        links: str = "own",
        record: bool = True,
        limits: dict[str, tuple[int, float]] | None = None,
    ) -> None:
        super().__init__(world, links=links, record=record)
        self.tenant = world.ironclad
        self.tokens = self.tenant.tokens
        self.tokens.admit(ACCESS_TOKEN)
        self.windows = {name: Window(*rate) for name, rate in (limits or {}).items()}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/oauth/token", self._token, methods=["POST"]),
            get("/v1.1/sites", self._sites),
            get("/v1.1/sites/{site:int}", self._site),
            get("/v1.1/sites/{site:int}/memberships", self._memberships),
            get("/v1.1/sites/{site:int}/signers", self._signers),
            get("/v1.1/signers", self._signers),
            get("/v1.1/accounts/{account:int}", self._account),
            get("/v1.1/accounts/{account:int}/members", self._members),
        ]

    def error(self, status: int) -> Refusal:
        return clickwrap_error(status)

    async def _token(self, request: Request) -> Response:
        """A new access token; the one before it ends at this moment."""
        fields = await _fields(request)
        if fields.get("grant_type") != "client_credentials":
            raise clickwrap_error(400, "grant_type must be client_credentials.")
        given = (fields.get("client_id"), fields.get("client_secret"))
        if self.tokens.refuse_client or given != (CLIENT_ID, CLIENT_SECRET):
            self._count("unauthenticated")
            raise clickwrap_error(401, "The client id or the client secret is wrong.")
        self.tokens.life_s = self.tenant.expires_in
        body: Record = {"access_token": self.tokens.issue(), "token_type": "bearer"}
        return json_response(body if self.tenant.expires_in is None else {**body, "expires_in": self.tenant.expires_in})

    def _authorize(self, request: Request) -> None:
        token = bearer(request)
        known = token is not None and self.tokens.grant(token) is not None
        self._count("authenticated" if known else "unauthenticated")
        if not known:
            raise clickwrap_error(401)

    def _count(self, bucket: str) -> None:
        window = self.windows.get(bucket)
        if window and not window.take():
            refusal = clickwrap_error(429)
            refusal.headers["Retry-After"] = str(window.wait_s)
            raise refusal

    def _page(self, request: Request, numbers: Sequence[int], record: Callable[[int], Record]) -> Response:
        """The envelope of all lists; `per_page` is 25 unless told and at most 100."""
        query = request.query_params
        page, size = _number(query.get("page"), 1), min(100, _number(query.get("per_page"), 25))
        start = (page - 1) * size
        data = [record(number) for number in numbers[start : start + size]]
        body: Record = {"page": page, "per_page": size, "count": len(data), "total_count": len(numbers)}
        body |= {"has_more": start + size < len(numbers), "data": data}
        if query.get("no_count") == "true":
            del body["total_count"]
        return json_response(body)

    async def _sites(self, request: Request) -> Response:
        self._authorize(request)
        return self._page(request, range(len(self.tenant.sites)), self.tenant.sites.__getitem__)

    def _site_number(self, request: Request) -> int:
        for number, site in enumerate(self.tenant.sites):
            if site["id"] == request.path_params["site"]:
                return number
        raise clickwrap_error(404)

    async def _site(self, request: Request) -> Response:
        self._authorize(request)
        return json_response(self.tenant.sites[self._site_number(request)])

    async def _memberships(self, request: Request) -> Response:
        self._authorize(request)
        site, tenant = self._site_number(request), self.tenant
        members = [n for n in tenant.roster.numbers() if tenant.role(site, n)]
        return self._page(request, members, lambda number: tenant.membership(site, number))

    async def _signers(self, request: Request) -> Response:
        self._authorize(request)
        return self._page(request, range(SIGNERS), self.tenant.signer)

    async def _members(self, request: Request) -> Response:
        self._authorize(request)
        self._check_account(request)
        return self._page(request, list(self.tenant.roster.numbers()), self.tenant.roster.record)

    async def _account(self, request: Request) -> Response:
        self._authorize(request)
        self._check_account(request)
        term = self.tenant.plan.today.replace(month=1, day=1)
        subscription = {
            "plan": "enterprise",
            "status": "active",
            "active": True,
            "term_start_date": term.isoformat(),
            "term_end_date": term.replace(year=term.year + 1).isoformat(),
            "total_cost": 24_000,
        }
        limits = {"users": len(self.tenant.roster) + 50, "sites": 10}
        return json_response({"id": ACCOUNT, "name": "Demo", "subscription": subscription, "limits": limits})

    def _check_account(self, request: Request) -> None:
        if request.path_params["account"] != ACCOUNT:
            raise clickwrap_error(404)


async def _fields(request: Request) -> dict[str, object]:
    """A token request's fields, from a form or from JSON."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            return msgspec.json.decode(await request.body(), type=dict[str, object])
        except msgspec.MsgspecError:
            raise clickwrap_error(400) from None
    return dict(await form_of(request))


def _number(text: str | None, default: int) -> int:
    return max(1, int(text)) if text and text.isdigit() else default
