"""What a route may ask for: the session of its request, the caller, and the parts of the running service."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal, Role
from app.activity.keyset import Fetch
from app.core.database import Database
from app.core.errors import FieldError, InvalidInput, NotAllowed
from app.sync.runtime import Runtime as RuntimeState


async def _runtime(request: Request) -> RuntimeState:
    runtime: RuntimeState = request.app.state.runtime
    return runtime


async def _database(request: Request) -> Database:
    return (await _runtime(request)).database


async def rows(request: Request) -> Fetch:
    return (await _database(request)).pool.fetch


async def _session(request: Request) -> AsyncSession:
    session: AsyncSession = request.state.unit.session()
    return session


Runtime = Annotated[RuntimeState, Depends(_runtime)]
"""What this process works with: settings, database, vault."""

Books = Annotated[Database, Depends(_database)]
"""The database, for lists with SQL of their own on `database.pool`."""

Rows = Annotated[Fetch, Depends(rows)]
"""Fetches the rows of a SELECT. A list that asks for nothing else of the service is answered directly: direct.py."""

Session = Annotated[AsyncSession, Depends(_session)]
"""The request's one session. Commit is the edge's: after the route returned, before its answer is sent."""


class Requires:
    """Asks that the caller has at least this role; the edge checks it before it reads anything else."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def check(self, principal: Principal) -> None:
        """Raises NotAllowed."""
        if not principal.may(self.role):
            raise NotAllowed(f"This needs the role {self.role}; the key has the role {principal.role}.")

    async def __call__(self, request: Request) -> Principal:
        principal: Principal = request.state.principal
        return principal


AS_VIEWER = [Depends(Requires("viewer"))]
"""`dependencies` of a route that does not need to know who its caller is."""

Viewer = Annotated[Principal, Depends(Requires("viewer"))]
Operator = Annotated[Principal, Depends(Requires("operator"))]
Admin = Annotated[Principal, Depends(Requires("admin"))]


class ParametersBeginning:
    """All query parameters whose name begins with a prefix, as `{rest of the name: value}`.

    For lists with open filters: `metadata: Annotated[dict[str, str], Depends(ParametersBeginning("metadata."))]`.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    async def __call__(self, request: Request) -> dict[str, str]:
        found = {k.removeprefix(self.prefix): v for k, v in request.query_params.items() if k.startswith(self.prefix)}
        if "" in found:
            raise InvalidInput([FieldError(f"Name a field after {self.prefix!r}.", parameter=self.prefix)])
        return found
