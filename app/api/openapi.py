"""The description of the API: what every operation has in common is added here, so that no route can forget it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic_core import to_json

from app.api import outgoing, resource_links
from app.api.idempotency import HEADER as IDEMPOTENCY_HEADER
from app.api.idempotency import KEY_PATTERN
from app.api.problems import MEDIA_TYPE, Problem, title_of, type_of
from app.api.resources import answer

_LICENCE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
TAGS = [
    {"name": "Connectors", "description": "What can be connected, and the form that each connector asks for."},
    {"name": "Credentials", "description": "Secrets for a connector: they go in and never come out."},
    {"name": "Instances", "description": "Configured connections: a connector, a credential, options, a schedule."},
    {"name": "Syncs", "description": "Runs of instances, their progress, changes and errors."},
    {"name": "Plans", "description": "What a sync would do, or has held back, by name; applied or discarded."},
    {"name": "People", "description": "Humans, tied together over all their accounts."},
    {"name": "Applications", "description": "SaaS applications, their seats and their use."},
    {"name": "Accounts", "description": "Seats: one user in one application, and the days of use."},
    {"name": "Licences", "description": "Seats bought and used, what the unused cost, and which to take back."},
    {"name": "Reports", "description": "Saved questions over accounts, people and applications."},
    {"name": "Certifications", "description": "SailPoint's sources mapped to applications; evidence for reviews."},
    {"name": "Events", "description": "What happened, in order, to pull; the same messages as webhooks push."},
    {"name": "Webhooks", "description": "Endpoints that messages are posted to, signed."},
    {"name": "Deliveries", "description": "What became of each message, and sending it again."},
    {"name": "Messages", "description": "What endpoints receive."},
    {"name": "Notifications", "description": "What people were told, by mail and here, and whom it goes to."},
    {"name": "Fields", "description": "Custom fields that mappings fill."},
    {"name": "Catalogue", "description": "Well-known applications, to which those of all instances are tied."},
    {"name": "API keys", "description": "Who may call this API, and with which role."},
    {"name": "Audit", "description": "Who changed what, when, from where."},
    {"name": "OAuth", "description": "Access tokens for clients that expect OAuth 2.0."},
    {"name": "Health", "description": "Alive, ready."},
]

_DETAILS = {
    400: "The cursor is damaged, or belongs to another list, filter or sort.",
    401: "No valid key or token was sent.",
    403: "The key's role does not allow this.",
    404: "There is no such thing.",
    409: "The state of things forbids it; `detail` says what to do.",
    410: "What was asked for is no longer kept.",
    412: "`If-Match` names an older state.",
    413: "The body is too large.",
    414: "The URL is too long.",
    415: "The body has another media type than JSON.",
    422: "The input cannot be used; `errors` names each bad field.",
    429: "Too many requests; wait as `Retry-After` says.",
    502: "A vendor did not give what was asked for.",
    503: "The database cannot be reached, or the process is stopping; wait as `Retry-After` says.",
}
_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_WITH_RETRY_AFTER = {429, 503}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors for `responses=` of a route, beside those that every operation gets by itself.

    By itself: 401, 403, 503; 404 with a path parameter; 422 with input, 413 and 415 with a body; 414 with a parameter
    that may come often; 409 of POST (idempotency); 412 of PATCH, PUT and DELETE; 400 of lists.
    """
    return {status: _response(status) for status in statuses}


def _response(status: int) -> dict[str, Any]:
    example = {
        "type": type_of(status),
        "title": title_of(status),
        "status": status,
        "detail": _DETAILS[status],
        "request_id": "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77",
    }
    if status == 422:
        example["errors"] = [{"pointer": "#/name", "detail": "This is needed."}]
    response: dict[str, Any] = {
        "description": _DETAILS[status],
        "content": {MEDIA_TYPE: {"schema": _REFERENCE, "example": example}},
    }
    if status in _WITH_RETRY_AFTER:
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return response


def install(app: FastAPI) -> None:
    """Let `app` describe itself at /openapi.json, once asked for; that takes a second, so beside the event loop."""
    written: list[bytes] = []
    turn = asyncio.Lock()

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # the framework's documented way

    @app.get("/openapi.json", include_in_schema=False)
    async def description(request: Request) -> Response:
        async with turn:
            if not written:
                written.append(await asyncio.to_thread(lambda: to_json(described())))
        return answer(request, written[0])


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=TAGS,
        servers=[{"url": "/", "description": "Where this document comes from."}],
        license_info=_LICENCE,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem_schema.pop("$defs", {}))
    schemas["Problem"] = problem_schema
    outgoing.describe(document)
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or an access token of /oauth/token.",
        }
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    resource_links.describe(document)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add to one operation the parameters, headers and errors that follow from its path and method."""
    operation["security"] = [{"bearer": []}] if path.startswith("/v1/") else []
    if path.startswith("/v1/"):
        _add_parameters(path, method, operation)
    responses = operation["responses"]
    for status in _statuses(path, operation):
        responses.setdefault(str(status), _response(status))
    if "422" in responses and "HTTPValidationError" in str(responses["422"]):
        responses["422"] = _response(422)
    for status, response in responses.items():
        if status.startswith("2"):
            _add_headers(path, method, status, response)
    operation["responses"] = dict(sorted(responses.items()))


def _statuses(path: str, operation: dict[str, Any]) -> set[int]:
    statuses = {503} if path != "/healthz" else set()
    if not path.startswith("/v1/"):
        return statuses
    statuses |= {401, 403}
    parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
    if "{" in path:
        statuses.add(404)
    if "cursor" in parameters:
        statuses.add(400)
    if parameters or "requestBody" in operation:
        statuses.add(422)
    if "requestBody" in operation:
        statuses |= {413, 415}
    if any(parameter["schema"].get("type") == "array" for parameter in operation.get("parameters", [])):
        statuses.add(414)
    if IDEMPOTENCY_HEADER in parameters:
        statuses.add(409)
    if "If-Match" in parameters:
        statuses.add(412)
    return statuses


def _add_parameters(path: str, method: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            _never_null(parameter["schema"])
    added = []
    if method == "post":
        added.append(
            _header(
                IDEMPOTENCY_HEADER,
                "Send the same key again within 24 hours and get the first answer again.",
                {"type": "string", "pattern": KEY_PATTERN},
            )
        )
    if method in {"patch", "put", "delete"}:
        added.append(_header("If-Match", "Change only what still has this ETag.", {"type": "string"}))
    if method == "get" and path.endswith("}"):
        added.append(_header("If-None-Match", "Answer 304 where the ETag is still this.", {"type": "string"}))
        operation["responses"]["304"] = {"description": "It is still as `If-None-Match` says."}
    operation.setdefault("parameters", []).extend(added)


def _never_null(schema: dict[str, Any]) -> None:
    """A part of a path is always there, also where the same parameter of another path may be left out."""
    others = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(others) == 1:
        del schema["anyOf"]
        schema.update(others[0])


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _add_headers(path: str, method: str, status: str, response: dict[str, Any]) -> None:
    headers = response.setdefault("headers", {})
    headers["X-Request-Id"] = {"description": "The request's id.", "schema": {"type": "string"}}
    if status == "201":
        headers["Location"] = {"description": "Path of what was created.", "schema": {"type": "string"}}
    if path.startswith("/v1/") and (path.endswith("}") or status == "201") and method != "delete":
        headers["ETag"] = {"description": "Names this state.", "schema": {"type": "string"}}
