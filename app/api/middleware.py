"""What happens to every request before a route is looked for: id, log line, metrics, size limit, draining."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import structlog
from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.health import Metrics, known_method
from app.api.problems import RETRY_AFTER_S, internal_problem, problem
from app.core.ids import new_id
from app.core.logging import has_secret

log = structlog.get_logger("seatwise.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ALWAYS_OPEN = {"/healthz", "/metrics"}
_QUIET = {"/healthz", "/readyz", "/metrics"}
_GUARDS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_PRIVATE = ("/v1/", "/oauth/", "/links/")
_UNKEPT = ((b"cache-control", b"no-store"),)
MAX_BODY_BYTES = 4 * 1024 * 1024
BODY_S = 60.0
CLIENT_GONE = 499
"""Told to nobody but the log and the figures: the caller went away before the request was whole."""


@dataclass(slots=True)
class Gate:
    """Whether new requests are let in. The process that stops sets `draining`."""

    draining: bool = False


@dataclass(slots=True)
class _Seen:
    """What the answer turned out to be; until one begins there is nobody to get it."""

    request_id: str
    status: int = CLIENT_GONE
    began: float = field(default_factory=time.perf_counter)


class Edge:
    """The outermost layer: gives the request its id and each answer the headers that all have, and notes both."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = _Seen(_request_id(scope))
        scope.setdefault("state", {})["request_id"] = seen.request_id

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                message = {**message, "headers": [*message["headers"], *_added(scope, seen, message["headers"])]}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=seen.request_id):
            try:
                await self.app(scope, receive, marked)
            finally:
                self._note(scope, seen)

    def _note(self, scope: Scope, seen: _Seen) -> None:
        seconds = time.perf_counter() - seen.began
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        self.metrics.observe(scope["method"], route, seen.status, seconds)
        if scope["path"] not in _QUIET:
            log.info(
                "request",
                method=known_method(scope["method"]),
                path=_told_path(scope),
                status=seen.status,
                duration_ms=round(seconds * 1000, 1),
            )


class Faults:
    """Answers faults of ours and requests that come too late; within the layer that lets other origins read."""

    def __init__(self, app: ASGIApp, *, gate: Gate) -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._serve(scope, receive, noted)
        except ClientDisconnect:
            log.info("request_broken_off", method=known_method(scope["method"]), path=_told_path(scope))
        except Exception:
            log.exception("request_failed", method=known_method(scope["method"]), path=_told_path(scope))
            if started:
                raise
            await internal_problem(scope)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.gate.draining and scope["path"] not in _ALWAYS_OPEN:
            refusal = problem(
                scope,
                503,
                "This process is stopping. Send the request again shortly.",
                headers={"Retry-After": str(RETRY_AFTER_S), "Connection": "close"},
            )
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _added(scope: Scope, seen: _Seen, own: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """What every answer has beside its own headers, and what one of `/v1` has."""
    told = {"x-request-id": seen.request_id, **scope["state"].get("headers", {})}
    yield from ((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told.items())
    present = {name for name, _ in own}
    guards = _GUARDS + _UNKEPT if scope["path"].startswith(_PRIVATE) else _GUARDS
    yield from (guard for guard in guards if guard[0] not in present)


def _request_id(scope: Scope) -> str:
    sent = _header(scope, b"x-request-id")
    return sent if _REQUEST_ID.fullmatch(sent) and not has_secret(sent) else str(new_id())


def _told_path(scope: Scope) -> str:
    """A path as the log may have it. What is no word of any route and no id may be a secret in the wrong place."""
    words = _words(scope["app"])
    return "/".join(part if part in words or _ID.fullmatch(part) else "***" for part in scope["path"].split("/"))


def _words(app: Starlette) -> frozenset[str]:
    """The fixed parts of all paths."""
    if not hasattr(app.state, "path_words"):
        paths = [context.path for context in iter_route_contexts(app.routes) if context.path]
        app.state.path_words = frozenset(part for path in paths for part in path.split("/") if "{" not in part)
    words: frozenset[str] = app.state.path_words
    return words


def _header(scope: Scope, name: bytes) -> str:
    """The first header of that name, which is in lower case; empty where there is none."""
    found: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return found.decode("latin-1")


class BodyLimit:
    """Refuses a body beyond MAX_BODY_BYTES, told beforehand or found while reading, or not here within BODY_S."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _header(scope, b"content-encoding").strip().lower() not in {"", "identity"}:
            await _encoded(scope)(scope, receive, send)
            return
        declared = _header(scope, b"content-length")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            await _too_large(scope)(scope, receive, send)
            return
        read, whole = 0, False
        late_at = asyncio.get_running_loop().time() + BODY_S

        async def counted() -> Message:
            nonlocal read, whole
            try:
                # What comes after the body is the end of the connection, for which streams wait as long as they last.
                async with asyncio.timeout_at(None if whole else late_at):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, _TOO_SLOW, {"Connection": "close"}) from None
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self.app(scope, counted, send)


_TOO_LARGE = f"A body may have {MAX_BODY_BYTES} bytes at most."
_TOO_SLOW = f"A body has to be here within {BODY_S:g} s."


def _encoded(scope: Scope) -> ASGIApp:
    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    return problem(scope, 415, "Send the body as it is, without Content-Encoding.", headers=headers)


def _too_large(scope: Scope) -> ASGIApp:
    return problem(scope, 413, _TOO_LARGE, headers={"Connection": "close"})
