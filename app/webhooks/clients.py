"""HTTP clients of a process that delivers: one for each attempt under way, kept for the webhook that it last served."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import httpx

# Connections are kept for less than this, so a client that rests longer has nothing to lose.
REST_S = 30.0


@dataclass(slots=True)
class Clients:
    """One client is lent to one attempt at a time: shared ones get slower the more share them."""

    make: Callable[[], httpx.AsyncClient]
    _resting: dict[UUID, list[tuple[float, httpx.AsyncClient]]] = field(default_factory=dict)

    @asynccontextmanager
    async def lent(self, webhook_id: UUID) -> AsyncIterator[httpx.AsyncClient]:
        resting = self._resting.setdefault(webhook_id, [])
        client = resting.pop()[1] if resting else self.make()
        try:
            yield client
        finally:
            self._resting.setdefault(webhook_id, []).append((time.monotonic(), client))

    async def close_resting(self, rested_s: float = REST_S) -> None:
        """Close those that were not needed for so long."""
        before = time.monotonic() - rested_s
        for webhook_id, resting in list(self._resting.items()):
            done = [client for since, client in resting if since <= before]
            self._resting[webhook_id] = [one for one in resting if one[0] > before]
            if not self._resting[webhook_id]:
                del self._resting[webhook_id]
            for client in done:
                await client.aclose()
