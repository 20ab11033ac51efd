"""What the streams of one run share: its connection, its lease, its counts, its connector."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

import asyncpg

from app.connectors.contract import Connector, Page, Rejected, StreamName
from app.connectors.manifest import Manifest
from app.core.errors import CursorRefused
from app.models import Instance
from app.sync.extract import batches
from app.sync.lease import Lease, Snapshot
from app.sync.reads import Read, restart
from app.sync.scope import RunScope
from app.sync.tally import Tally

Record = TypeVar("Record")

# What is written in one transaction: at most so many records and one page, for each transaction and statement costs as
# much as many records; and how many pages may wait for it.
BATCH = 5_000
AHEAD = 6


def size_of(page: Page[Any]) -> int:
    """What a page weighs in a batch."""
    return len(page.records) + len(page.rejected) + page.ignored


def joined(pages: Sequence[Page[Record]]) -> Page[Record]:
    """Pages that follow each other, as one."""
    last = pages[-1]
    return Page(
        records=[record for page in pages for record in page.records],
        last=last.last,
        cursor=last.cursor,
        rejected=[rejected for page in pages for rejected in page.rejected],
        expected=last.expected,
        ignored=sum(page.ignored for page in pages),
    )


class Cost(Protocol):
    """What a run has spent: HTTP requests, and seconds held back."""

    @property
    def calls(self) -> int: ...

    @property
    def throttled_seconds(self) -> float: ...


@dataclass(slots=True)
class Work:
    """One run. `stream` is the one being read, for the failure to name."""

    lease: Lease
    scope: RunScope
    instance: Instance
    credential_name: str
    manifest: Manifest
    connector: Connector
    client: Cost
    connection: asyncpg.Connection[Any]
    tally: Tally
    began_at: datetime
    stream: StreamName | None = None
    strangers: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A transaction under the lease, with the run's progress stored in it. Raises LeaseLost."""
        async with self.lease.transaction(self.connection):
            yield self.connection
            await self.lease.save(self.connection, self.snapshot())

    def snapshot(self) -> Snapshot:
        return self.tally.snapshot(self.client.calls, self.client.throttled_seconds)

    async def pages(
        self, read: Read, listing: Callable[[str | None], AsyncIterator[Page[Record]]]
    ) -> AsyncGenerator[Page[Record], None]:
        """The pages of a stream from its checkpoint on, as many in one as have come; from its beginning where the
        vendor no longer takes the checkpoint's cursor.
        """
        while True:
            resumed = read.cursor is not None
            listed = batches([read], lambda opened: listing(opened.cursor), size_of, width=1, depth=AHEAD, most=BATCH)
            try:
                async with aclosing(listed) as arriving:
                    async for batch in arriving:
                        resumed = False
                        yield joined([page for _, page in batch])
            except CursorRefused:
                if not resumed:
                    raise
                async with self.writing() as connection:
                    await restart(connection, read.id)
                read.cursor = None
            else:
                return

    def strange(self, vendor_ids: Iterable[str]) -> list[Rejected]:
        """An error for each user who is named but not listed, once in a run however often they are named."""
        fresh = [vendor_id for vendor_id in vendor_ids if vendor_id not in self.strangers]
        self.strangers.update(fresh)
        detail = "The vendor names this user here, but does not list them."
        return [Rejected(vendor_id, "unknown_user", detail) for vendor_id in fresh]

    async def list_errors(self, stream: StreamName, rejected: Sequence[Rejected]) -> None:
        """Keep why records could not be used; part of the page's transaction."""
        if rejected:
            await self.connection.copy_records_to_table(
                "sync_errors",
                records=[(self.scope.sync_id, stream, r.vendor_id, r.code, r.detail) for r in rejected],
                columns=("sync_id", "stream", "vendor_id", "code", "detail"),
            )
