"""The route of this service: who calls, what was sent, one transaction, and only then the answer.

Order of a request under /v1: the caller and their role, unknown parameters, the media type, an idempotent replay,
the route itself, commit, answer. Whatever is raised on the way rolls the transaction back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException

from app.access.authentication import Authentication
from app.access.principal import Principal, Role
from app.access.rates import count_use
from app.access.turns import Turns
from app.api.bodies import JSON_TYPES, PATCH_TYPES, StrictRequest, refuse_unstorable_parameters
from app.api.deps import ParametersBeginning, Requires
from app.api.idempotency import HEADER, Attempt, attempt_of, remember, replay
from app.api.problems import refuse_undeclared_method
from app.core.database import Database
from app.core.errors import Conflict, FieldError, InvalidInput
from app.sync.runtime import Runtime

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(slots=True)
class UnitOfWork:
    """The one transaction of a request, begun when the first dependency asks for its session."""

    database: Database
    _session: AsyncSession | None = field(default=None, repr=False)

    def session(self) -> AsyncSession:
        if self._session is None:
            self._session = self.database.sessions()
        return self._session

    async def commit(self) -> None:
        if self._session is not None:
            await self._session.commit()

    async def close(self) -> None:
        """Roll back what was not committed and give the connection back."""
        if self._session is not None:
            await self._session.close()


class Route(APIRoute):
    """Give it to a router: `APIRouter(prefix="/v1/credentials", route_class=Route)`."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        calls = [dependant.call for dependant in _flat(self.dependant)]
        requires = _requires(self)
        prefixes = tuple(call.prefix for call in calls if isinstance(call, ParametersBeginning))
        known = {param.alias for dependant in _flat(self.dependant) for param in dependant.query_params}
        takes_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            if request.path_params:
                refuse_undeclared_method(request)
            await _authenticate(request, requires)
            refuse_unstorable_parameters(request)
            _refuse_unknown_parameters(request, known, prefixes)
            if takes_body:
                await _require_json(request)
            return await _in_one_transaction(request, handle)

        return guarded


def required_roles(route: Route) -> list[Role]:
    """What a route asks of its caller; nothing where it is open."""
    return [required.role for required in _requires(route)]


def _requires(route: APIRoute) -> list[Requires]:
    calls = [dependant.call for dependant in _flat(route.dependant)]
    return [call for call in calls if isinstance(call, Requires)]


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _flat(inner)


async def _authenticate(request: Request, requires: list[Requires]) -> None:
    """Raises NotAuthenticated, TooManyRequests, NotAllowed. A route that requires no role is open to all."""
    if not requires:
        return
    authentication: Authentication = request.app.state.authentication
    principal = await authentication.authenticate(request.headers.get("authorization"))
    request.state.principal = principal
    await _count(request, principal)
    for required in requires:
        required.check(request.state.principal)


async def _count(request: Request, principal: Principal) -> None:
    """Count the request against its caller's share of the minute. Raises TooManyRequests."""
    runtime: Runtime = request.app.state.runtime
    limit = runtime.settings.key_rate_per_minute
    if limit and principal.id is not None:
        rate = await count_use(runtime.database, principal.id, limit)
        request.state.headers = rate.headers()
        rate.require()


def _refuse_unknown_parameters(request: Request, known: set[str], prefixes: tuple[str, ...]) -> None:
    unknown = [name for name in request.query_params if name not in known and not name.startswith(prefixes or ("\0",))]
    if unknown:
        takes = f"it takes {', '.join(sorted([*known, *(f'{prefix}<name>' for prefix in prefixes)]))}"
        detail = f"There is no such parameter here; {takes if known or prefixes else 'it takes none'}."
        raise InvalidInput([FieldError(detail, parameter=name) for name in unknown])


async def _require_json(request: Request) -> None:
    """Read the body before the framework does. Raises 415 for another media type, InvalidInput for no JSON."""
    accepted = PATCH_TYPES if request.method == "PATCH" else JSON_TYPES
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not await request.body():
        return
    if media_type not in accepted:
        raise HTTPException(415, f"Send the body as {' or '.join(sorted(accepted))}, named in Content-Type.")
    await request.json()


async def _in_one_transaction(request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    runtime: Runtime = request.app.state.runtime
    request.state.unit = unit = UnitOfWork(runtime.database)
    try:
        principal = getattr(request.state, "principal", None)
        attempt = principal and await attempt_of(request, principal)
        if attempt is not None:
            return await _once(request, handle, unit, attempt)
        response = await handle(request)
        await unit.commit()
        return response
    finally:
        await unit.close()


async def _once(
    request: Request, handle: Callable[[Request], Awaitable[Response]], unit: UnitOfWork, attempt: Attempt
) -> Response:
    runtime: Runtime = request.app.state.runtime
    turns: Turns = request.app.state.turns
    async with turns.taken(attempt.lock) as ours:
        if not ours:
            raise Conflict(f"The first request with this {HEADER} is still running. Send it again in a moment.")
        kept = await replay(unit.session(), runtime.vault, attempt)
        if kept is not None:
            return kept
        response = await handle(request)
        await remember(unit.session(), runtime.vault, attempt, response)
        await unit.commit()
        return response
