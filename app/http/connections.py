"""Connections of one client to the hosts it calls, kept open between requests.

In place of httpcore's pool, whose bookkeeping costs more than its connections' work: whoever takes a connection has it
alone, and the client itself bounds how many are taken.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpcore


@dataclass(slots=True)
class Connections:
    """at_most      kept open while nobody uses them.
    keepalive_s  how long one is kept so.
    tls          whom to trust.
    backends     what connects, by scheme.
    """

    at_most: int
    keepalive_s: float
    tls: ssl.SSLContext
    backends: Mapping[bytes, httpcore.AsyncNetworkBackend]
    _resting: list[tuple[httpcore.Origin, httpcore.AsyncHTTPConnection]] = field(default_factory=list)

    @asynccontextmanager
    async def lent(self, origin: httpcore.Origin, *, fresh: bool) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """One that nobody else uses, for one request; a fresh one connects with its first."""
        connection = (None if fresh else await self._rested(origin)) or self._made(origin)
        try:
            yield connection
        finally:
            await self._keep(origin, connection)

    async def _rested(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection | None:
        """The one used last, if any is left; those that have ended meanwhile are closed."""
        ended = [kept for kept in self._resting if kept[1].has_expired()]
        if ended:
            self._resting = [kept for kept in self._resting if kept not in ended]
            for _, connection in ended:
                await connection.aclose()
        for number in reversed(range(len(self._resting))):
            if self._resting[number][0] == origin:
                return self._resting.pop(number)[1]
        return None

    def _made(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self.tls if origin.scheme == b"https" else None,
            keepalive_expiry=self.keepalive_s,
            network_backend=self.backends[origin.scheme],
        )

    async def _keep(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep it for the next request, unless its last one has ended it."""
        if not connection.is_available():
            await connection.aclose()
            return
        self._resting.append((origin, connection))
        if len(self._resting) > self.at_most:
            await self._resting.pop(0)[1].aclose()

    async def aclose(self) -> None:
        while self._resting:
            await self._resting.pop()[1].aclose()
