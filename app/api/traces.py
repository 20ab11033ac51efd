"""A span for each request, around everything else. Not in the way at all where tracing is off."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import tracing

# Asked every few seconds by machines; nobody looks for these.
_UNTOLD = frozenset({"/healthz", "/readyz", "/metrics"})


class Traced:
    """The outermost layer of a traced process."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTOLD:
            await self.app(scope, receive, send)
            return
        status = 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracing.request(scope["method"], scope["scheme"], Headers(scope=scope)) as span:
            try:
                await self.app(scope, receive, seen)
            finally:
                route = getattr(scope.get("route"), "path", None)
                tracing.served(span, scope["method"], route, status, scope.get("state", {}).get("request_id", ""))
