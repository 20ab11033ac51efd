"""What the simulated vendors have in common: recording, faults, refusals, links."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from app.demo.vendors.faults import Fault, Faults
from app.demo.vendors.tokens import TokenBook
from app.demo.vendors.world import World

Handler = Callable[[Request], Awaitable[Response]]
OWN_HOST = "own"
_HTML = b"<!doctype html><title>We will be back soon</title><h1>Scheduled maintenance</h1>"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Refusal(Exception):
    """An answer that is an error in the vendor's shape."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came. `at` is epoch seconds; `status` 0 where the connection was reset."""

    method: str
    path: str
    query: str
    at: float
    status: int


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, dict(headers or {}), media_type="application/json")


def bearer(request: Request, scheme: str = "bearer") -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == scheme and token else None


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a urlencoded body; none for any other."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl((await request.body()).decode("latin-1"), keep_blank_values=True))


def limit_of(request: Request, *, default: int, most: int) -> int:
    """The page size asked for, at most what the vendor gives."""
    text = request.query_params.get("limit", "")
    return min(int(text), most) if text.isdigit() else default


def seal_cursor(kind: str, *position: int) -> str:
    return base64.urlsafe_b64encode(":".join([kind, *map(str, position)]).encode()).decode().rstrip("=")


def open_cursor(kind: str, text: str) -> tuple[int, ...]:
    """The position in a cursor of that kind. Raises ValueError for any other text."""
    padded = text.encode() + b"=" * (-len(text) % 4)
    name, *position = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(":")
    if name != kind or not position:
        raise ValueError(text)
    return tuple(int(part) for part in position)


class Vendor:
    """An ASGI application over a world. Subclasses give the routes and the shape of errors.

    root      path before the resources; faults may leave it out.
    links     `own` for links on the host that was asked, else scheme and host to put there (the documented one).
    requests  every request so far, oldest first (with `record=False` none).
    """

    key: str
    root: str
    documented_host: str
    tokens: TokenBook

    def __init__(self, world: World, *, links: str = OWN_HOST, record: bool = True) -> None:
        self.world = world
        self.faults = Faults()
        self.links = links
        self.requests: list[Seen] = []
        self._record = record
        self._app = Starlette(
            routes=self.routes(),
            exception_handlers={Refusal: _refused, HTTPException: self._http_error},
        )

    def routes(self) -> list[BaseRoute]:
        raise NotImplementedError

    def error(self, status: int) -> Refusal:
        """The vendor's error of that status, as faults send it."""
        raise NotImplementedError

    def host(self, request: Request) -> str:
        return f"http://{request.headers['host']}" if self.links == OWN_HOST else self.links

    def link(self, request: Request, **changes: str | None) -> str:
        """The request's own URL with some query parameters set, those of None left out."""
        query = {n: v for n, v in {**request.query_params, **changes}.items() if v is not None}
        return f"{self.host(request)}{request.url.path}" + (f"?{urlencode(query)}" if query else "")

    def next_link(self, request: Request, **changes: str | None) -> str:
        fault: Fault | None = request.scope.get("fault")
        if fault and fault.kind == "repeat_cursor":
            return self.link(request)
        if fault and fault.kind == "foreign_next":
            return fault.host + self.link(request, **changes).removeprefix(self.host(request))
        return self.link(request, **changes)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that no fault has struck."""
        await self._app(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.time()
        try:
            await self._with_faults(scope, receive, send, noting)
        finally:
            if self._record:
                query = scope["query_string"].decode("latin-1")
                self.requests.append(Seen(scope["method"], scope["path"], query, began, status))

    async def _with_faults(self, scope: Scope, receive: Receive, raw_send: Send, send: Send) -> None:
        fault = scope["fault"] = self.faults.take(scope["path"], self.root)
        delay = max(self.faults.latency_s, fault.delay_s if fault else 0.0)
        if delay:
            await asyncio.sleep(delay)
        if fault is None:
            await self.serve(scope, receive, send)
        elif fault.kind == "reset":
            await _reset(receive, raw_send)
        elif fault.kind == "truncated":
            await _truncate(await self._answer(scope, receive), receive, raw_send, send)
        else:
            await self._struck(fault, scope, receive, send)

    async def _struck(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response | None = None
        if fault.kind == "status":
            refusal = self.error(fault.status)
            refusal.headers.pop("Retry-After", None)
            if fault.retry_after is not None:
                refusal.headers["Retry-After"] = fault.retry_after
            response = json_response(refusal.body, refusal.status, refusal.headers)
        elif fault.kind == "html":
            response = Response(_HTML, media_type="text/html")
        elif fault.kind == "wrong_shape":
            true = (await self._answer(scope, receive))[1]
            response = json_response({"unexpected": True} if true.startswith(b"[") else ["unexpected"])
        elif fault.kind == "revoke_tokens":
            self.tokens.revoke()
        await (response(scope, receive, send) if response else self.serve(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """The true answer, held back: its start and its body."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.serve(scope, receive, keep)
        return messages[0], b"".join(m.get("body", b"") for m in messages[1:])

    async def _http_error(self, request: Request, error: Exception) -> Response:
        return await _refused(request, self.error(error.status_code if isinstance(error, HTTPException) else 500))


def get(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["GET"])


async def _refused(request: Request, refusal: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    assert isinstance(refusal, Refusal)  # noqa: S101 - registered for nothing else
    return json_response(refusal.body, refusal.status, refusal.headers)


def _transport(send: Send) -> Any:
    """The connection below an ASGI `send`: uvicorn's is a method of the cycle that holds it.

    Raises ConnectionResetError where there is none (an application called without a server).
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("The simulated vendor closed the connection.")
    return transport


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is closed, so that it neither answers nor logs."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(receive: Receive, send: Send) -> None:
    transport = _transport(send)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    await _gone(receive)


async def _truncate(answer: tuple[Message, bytes], receive: Receive, raw_send: Send, send: Send) -> None:
    start, body = answer
    transport = _transport(raw_send)
    await send(start)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    transport.close()
    await _gone(receive)
