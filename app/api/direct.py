"""The short way of hot lists: one statement that also proves the caller's key, and nothing of the framework in between.

Whatever is not plain (a parameter that does not fit, a key that is not valid, a list that is empty) goes on to the
ordinary way, which finds out again and answers as it does for every route; lists change nothing, so asking twice does
no harm. Both ways run the same functions with the same parameters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.admission import Admission, NotAdmittedError
from app.access.authentication import bearer_of, is_token
from app.access.principal import Role
from app.api.deps import ParametersBeginning, Requires, rows
from app.api.problems import DATABASE_ERRORS, answer_database
from app.api.unit_of_work import Route, required_roles
from app.core.errors import SeatwiseError
from app.sync.runtime import Runtime

_PLAIN_DEFAULTS = (str, int, bool, type(None))


class _NotPlainError(Exception):
    """The request is one for the ordinary way."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A function with what it is given: parameters of the query by their names there, results of other functions."""

    run: Callable[..., Awaitable[Any]]
    request_name: str | None
    fetch_name: str | None
    defaults: Mapping[str, Any]
    fields: Mapping[str, tuple[str, Callable[[Any], tuple[Any, Any]]]]
    prefix: str | None
    inner: tuple[tuple[str, _Call], ...]

    async def __call__(self, request: Request, admission: Admission, query: QueryParams) -> Any:
        """Raises _NotPlainError for a value that does not fit."""
        given = dict(self.defaults)
        for alias, (name, read) in self.fields.items():
            if alias in query:
                given[name], errors = read(query[alias])
                if errors:
                    raise _NotPlainError
        for name, call in self.inner:
            given[name] = await call(request, admission, query)
        if self.request_name is not None:
            given[self.request_name] = request
        if self.fetch_name is not None:
            given[self.fetch_name] = admission.fetch
        return await self.run(**given)


@dataclass(frozen=True, slots=True)
class _List:
    """A list that can be answered directly.

    takes   all query parameters that it knows; beside them those that begin with one of `prefixes`.
    """

    route: Route
    least: Role
    call: _Call
    takes: frozenset[str]
    prefixes: tuple[str, ...]

    def accepts(self, query: QueryParams) -> bool:
        """Whether it knows every parameter, and each stands there once."""
        if len(query.multi_items()) != len(query):
            return False
        return all(name in self.takes or (self.prefixes and name.startswith(self.prefixes)) for name in query)


class Direct:
    """Answers the lists among the routes that read through `Rows` alone; hands on everything else."""

    def __init__(self, app: ASGIApp, *, runtime: Runtime, routers: Iterable[APIRouter]) -> None:
        self.app = app
        self._pool = runtime.database.pool
        # Counting what a key uses is a statement of its own, and a refusal to answer.
        counted = runtime.settings.key_rate_per_minute > 0
        self._lists = {} if counted else {each.route.path: each for each in _lists(routers)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._lists.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        response = None if asked is None else await self._answer(asked, scope)
        await (response or self.app)(scope, receive, send)

    async def _answer(self, asked: _List, scope: Scope) -> Response | None:
        """None where the ordinary way has to answer."""
        request = Request(scope)
        key, query = bearer_of(request.headers.get("authorization")), request.query_params
        if not key or is_token(key) or b"%00" in scope["query_string"] or not asked.accepts(query):
            return None
        try:
            response: Response = await asked.call(request, Admission(self._pool, key, asked.least), query)
        except (_NotPlainError, NotAdmittedError, SeatwiseError):
            return None
        except DATABASE_ERRORS as error:
            response = await answer_database(request, error)
        scope["route"] = asked.route
        return response


def _lists(routers: Iterable[APIRouter]) -> Iterator[_List]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, Route) and route.methods == {"GET"} and (call := _call(route.dependant)) is not None:
                flat = [*_flat(call)]
                if any(each.fetch_name is not None for each in flat):
                    (least,) = required_roles(route)
                    takes = frozenset(alias for each in flat for alias in each.fields)
                    prefixes = tuple(each.prefix for each in flat if each.prefix is not None)
                    yield _List(route, least, call, takes, prefixes)


def _call(dependant: Dependant) -> _Call | None:
    """None where it asks for more than a query and `Rows`."""
    inner, fetch_name = [], None
    for each in dependant.dependencies:
        if each.call is rows:
            fetch_name = each.name
        elif not isinstance(each.call, Requires) or each.name is not None:
            found = _call(each)
            if found is None or each.name is None:
                return None
            inner.append((each.name, found))
    others = (dependant.path_params, dependant.header_params, dependant.cookie_params, dependant.body_params)
    plain = all(isinstance(field.get_default(), _PLAIN_DEFAULTS) for field in dependant.query_params)
    if dependant.call is None or isinstance(dependant.call, Requires) or any(others) or not plain:
        return None
    return _Call(
        run=dependant.call,
        request_name=dependant.request_param_name,
        fetch_name=fetch_name,
        defaults={field.name: field.get_default() for field in dependant.query_params},
        fields={field.alias: (field.name, field.validate) for field in dependant.query_params},
        prefix=dependant.call.prefix if isinstance(dependant.call, ParametersBeginning) else None,
        inner=tuple(inner),
    )


def _flat(call: _Call) -> Iterator[_Call]:
    yield call
    for _, inner in call.inner:
        yield from _flat(inner)
