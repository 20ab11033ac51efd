"""Ways out of a process that delivers: one for each attempt under way, kept for the webhook that it last served."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from app.http.client import GuardedTransport

# Connections are kept for less than this, so a transport that rests longer has nothing to lose.
REST_S = 30.0


@dataclass(slots=True)
class Transports:
    """One transport is lent to one attempt at a time, with the connection that its last attempt has left."""

    make: Callable[[], GuardedTransport]
    _resting: dict[UUID, list[tuple[float, GuardedTransport]]] = field(default_factory=dict)

    @asynccontextmanager
    async def lent(self, webhook_id: UUID) -> AsyncIterator[GuardedTransport]:
        resting = self._resting.setdefault(webhook_id, [])
        transport = resting.pop()[1] if resting else self.make()
        try:
            yield transport
        finally:
            self._resting.setdefault(webhook_id, []).append((time.monotonic(), transport))

    async def close_resting(self, rested_s: float = REST_S) -> None:
        """Close those that were not needed for so long."""
        before = time.monotonic() - rested_s
        for webhook_id, resting in list(self._resting.items()):
            done = [transport for since, transport in resting if since <= before]
            self._resting[webhook_id] = [one for one in resting if one[0] > before]
            if not self._resting[webhook_id]:
                del self._resting[webhook_id]
            for transport in done:
                await transport.aclose()
