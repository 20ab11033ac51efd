"""The one table from what went wrong to an HTTP answer (RFC 9457), for every answer that is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from app.api.bodies import MOST_TOLD, pointer_to
from app.core import errors
from app.core.faults import is_database_fault, sqlstate
from app.http.masking import without_secrets

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

STATUS: dict[type[errors.SeatwiseError], int] = {
    errors.BadCursor: 400,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.StalePrecondition: 412,
    errors.InvalidInput: 422,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.VendorError: 502,
}

DATABASE_ERRORS = (
    DBAPIError,
    PoolTimeout,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

# What a PostgreSQL error class (the first two letters of its SQLSTATE) says about the request.
_BAD_DATA_CLASS = "22"


class FieldProblem(BaseModel):
    """One bad field: `pointer` into the body, or `parameter` for query, path and header."""

    pointer: str | None = Field(default=None, examples=["#/name"])
    parameter: str | None = Field(default=None, examples=["limit"])
    detail: str


class Problem(BaseModel):
    """An error as RFC 9457 writes it. Some have further members, which their operation names."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:seatwise:problem:not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=["There is no such credential."])
    errors: list[FieldProblem] | None = Field(default=None, description="Each bad field, where the request had any.")
    request_id: str = Field(examples=["0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77"])


def request_id(scope: Mapping[str, Any]) -> str:
    """The id that the edge gave to this request."""
    found = scope.get("state", {}).get("request_id", "")
    return str(found)


def title_of(status: int) -> str:
    return HTTPStatus(status).phrase


def type_of(status: int) -> str:
    """What a problem's `type` is: one name for each status."""
    return f"urn:seatwise:problem:{title_of(status).lower().replace(' ', '-')}"


def problem(
    scope: Mapping[str, Any],
    status: int,
    detail: str,
    *,
    fields: Sequence[errors.FieldError] = (),
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Response:
    """An answer that tells what went wrong. Members of `extensions` stand beside the standard ones."""
    body: dict[str, Any] = {
        "type": type_of(status),
        "title": title_of(status),
        "status": status,
        "detail": detail,
        **(extensions or {}),
    }
    if fields:
        body["errors"] = [_without_secrets(field).as_json() for field in fields]
    body["request_id"] = request_id(scope)
    return Response(to_json(body), status, dict(headers or {}), media_type=MEDIA_TYPE)


def _without_secrets(field: errors.FieldError) -> errors.FieldError:
    """A bad field whose name, where the caller made it up, may be a secret in the wrong place."""
    pointer = None if field.pointer is None else without_secrets(field.pointer)
    parameter = None if field.parameter is None else without_secrets(field.parameter)
    return replace(field, pointer=pointer, parameter=parameter)


def internal_problem(scope: Mapping[str, Any]) -> Response:
    """What a caller is told of a fault of ours: nothing but the id to look for in the log."""
    return problem(scope, 500, "Something went wrong here. The log has the details under this request_id.")


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    app.add_exception_handler(errors.SeatwiseError, _answer_ours)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, answer_database)


async def _answer_ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.SeatwiseError):
        raise error
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None:
        raise error
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="seatwise"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, errors.TooManyRequests):
        headers["Retry-After"] = str(error.wait_s)
    extensions = dict(error.extensions)
    if isinstance(error, errors.VendorError):
        extensions["code"] = error.code
    return problem(
        request.scope, status, error.detail, fields=getattr(error, "errors", ()), headers=headers, extensions=extensions
    )


async def _answer_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [*dict.fromkeys(_field_error(item) for item in error.errors()[:MOST_TOLD])]
    return problem(request.scope, 422, "The request has fields that cannot be used.", fields=fields)


def _field_error(item: Mapping[str, Any]) -> errors.FieldError:
    """One finding of pydantic's in our form; the value sent is never repeated."""
    where, *path = item["loc"]
    kind, detail = item["type"], str(item["msg"])
    if kind == "extra_forbidden":
        detail = "There is no such member here; check its spelling."
    elif kind == "missing":
        detail = "This is needed."
    detail = detail.removeprefix("Value error, ")
    if where == "body":
        return errors.FieldError(detail, pointer=pointer_to(path))
    return errors.FieldError(detail, parameter=str(path[0]) if path else str(where))


async def _answer_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return problem(request.scope, 404, "There is nothing at this path; /docs lists what there is.")
    if error.status_code == 405:
        allowed = _allowed_methods(request)
        headers["Allow"] = ", ".join(allowed)
        return problem(request.scope, 405, f"This path takes {headers['Allow']}.", headers=headers)
    return problem(request.scope, error.status_code, str(error.detail), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Methods of every route whose path this is, not only of the first one; a path without parameters goes first."""
    path = request.scope["path"]
    named, matching = set[str](), set[str]()
    for context in iter_route_contexts(request.app.routes):
        if context.path and context.methods and compile_path(context.path)[0].match(path):
            matching |= context.methods
            named |= context.methods if context.path == path else set()
    return sorted(named or matching)


def refuse_undeclared_method(request: Request) -> None:
    """Raises 405 for a path that is declared as it stands, where a route with a parameter would take its last step
    for an id because that one has the method.
    """
    state = request.app.state
    if not hasattr(state, "literal_paths"):
        contexts = iter_route_contexts(request.app.routes)
        state.literal_paths = frozenset(each.path for each in contexts if each.path and "{" not in each.path)
    if request.scope["path"] in state.literal_paths:
        raise HTTPException(405)


async def answer_database(request: Request, error: Exception) -> Response:
    """What a caller is told of an error of the database or on the way to it. Raises it where it is a fault of ours."""
    if is_database_fault(error):
        log.warning("database_unreachable", error=type(error).__name__)
        return problem(
            request.scope,
            503,
            "The database cannot be reached right now. Try again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    cause = getattr(error, "orig", error)
    if isinstance(error, IntegrityError) or isinstance(cause, asyncpg.IntegrityConstraintViolationError):
        log.info("constraint_refused", constraint=getattr(cause, "constraint_name", None))
        return problem(request.scope, 409, "Something that this depends on changed meanwhile. Read it again.")
    if sqlstate(error)[:2] == _BAD_DATA_CLASS or isinstance(cause, asyncpg.DataError):
        return problem(request.scope, 422, "A value is out of the range that can be stored.")
    raise error
