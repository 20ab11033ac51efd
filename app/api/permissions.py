"""Which role each route asks for, read from the routes themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from app.access.principal import ROLES, Role
from app.api.unit_of_work import Route, required_roles

HEAD = """# Who may do what

Made from the routes; a test compares the two, and calls every route with every role. A role may all that those before
it may: `viewer`, `operator`, `admin`. `ingest` may only hand records to the one instance that its key is bound to.
Routes under /v1 need a key, an access token of /oauth/token, or a token of the identity provider.

| method | path | least role |
| --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One operation and the least role that may use it; None where nobody has to say who they are."""

    path: str
    method: str
    role: Role | None


def permissions(app: FastAPI) -> list[Permission]:
    """Every operation of the API, by path."""
    return sorted(_permissions(app), key=lambda each: (each.path, each.method))


def as_markdown(found: list[Permission]) -> str:
    return HEAD + "".join(f"| {each.method} | `{each.path}` | {each.role or 'open'} |\n" for each in found)


def _permissions(app: FastAPI) -> Iterator[Permission]:
    for context in iter_route_contexts(app.routes):
        route = context.route
        if not isinstance(route, APIRoute):
            continue
        roles = required_roles(route) if isinstance(route, Route) else []
        for method in sorted(route.methods or ()):
            yield Permission(context.path or route.path, method, max(roles, key=ROLES.index, default=None))
