"""The pages of a plan's read: kept as the vendor gave them, and given again by a connector that asks nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from app.connectors.contract import Application, Assignment, Check, Page, StreamName, Use, User
from app.core.database import Connection, Pool

_DECODERS: dict[str, msgspec.msgpack.Decoder[Page[Any]]] = {
    "users": msgspec.msgpack.Decoder(Page[User]),
    "applications": msgspec.msgpack.Decoder(Page[Application]),
    "assignments": msgspec.msgpack.Decoder(Page[Assignment]),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """One listing of a plan's read. `scope_id` is '' but for assignments."""

    stream: StreamName
    scope_id: str = ""


async def keep_page(connection: Connection, plan_id: UUID, stretch: Stretch, number: int, page: Page[Any]) -> None:
    """Keep one page, in the caller's transaction."""
    await connection.execute(
        "INSERT INTO plan_pages (plan_id, stream, scope_id, number, cursor, last, payload)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        plan_id,
        stretch.stream,
        stretch.scope_id,
        number,
        page.cursor,
        page.last,
        msgspec.msgpack.encode(page),
    )


class ReplayConnector:
    """The read of a plan as a connector. Its cursors are the numbers of pages.

    One page at a time is fetched, so that a run never holds more than one connection of the pool for it.
    """

    def __init__(self, pool: Pool, plan_id: UUID, streams: frozenset[StreamName]) -> None:
        self.streams = streams - {"activity"}
        self._pool = pool
        self._plan_id = plan_id

    async def check(self) -> Check:
        """What was read was proved when it was read."""
        return Check(ok=True, tenant=None, subject=None)

    def users(self, cursor: str | None = None) -> AsyncIterator[Page[User]]:
        return self._pages(Stretch("users"), cursor)

    def applications(self, cursor: str | None = None) -> AsyncIterator[Page[Application]]:
        return self._pages(Stretch("applications"), cursor)

    def assignments(self, scope_id: str, cursor: str | None = None) -> AsyncIterator[Page[Assignment]]:
        return self._pages(Stretch("assignments", scope_id), cursor)

    async def activity(self, since: Any, until: Any, cursor: str | None = None) -> AsyncIterator[Page[Use]]:  # noqa: ARG002  as the contract asks
        """Plans have none: a day of use is a fact, nothing to decide."""
        yield Page((), last=True)

    async def _pages(self, stretch: Stretch, cursor: str | None) -> AsyncIterator[Page[Any]]:
        number, last = int(cursor or 0), False
        while not last:
            payload = await self._pool.fetchval(
                "SELECT payload FROM plan_pages WHERE plan_id = $1 AND stream = $2 AND scope_id = $3 AND number = $4",
                self._plan_id,
                stretch.stream,
                stretch.scope_id,
                number,
            )
            if payload is None:
                # Never an empty page instead: it would say that nobody is left.
                raise RuntimeError(f"page {number} of {stretch.stream} is not kept")
            page = _DECODERS[stretch.stream].decode(payload)
            number, last = number + 1, page.last
            yield msgspec.structs.replace(page, cursor=None if last else str(number))


@dataclass(frozen=True, slots=True)
class NoCost:
    """What a run without a vendor has spent."""

    calls: int = 0
    throttled_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Replay:
    """Stands where the connection to a vendor does."""

    connector: ReplayConnector
    client: NoCost


@asynccontextmanager
async def replay(pool: Pool, plan_id: UUID, streams: frozenset[StreamName]) -> AsyncIterator[Replay]:
    """A read that was kept, instead of a vendor.

    streams   those that the instance's connector has.
    """
    yield Replay(ReplayConnector(pool, plan_id, streams), NoCost())
