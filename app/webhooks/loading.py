"""The body of a delivery, out of what it tells of: an event, or a page of a report run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.access.links import RunLinks, public_base
from app.core.database import Connection, Record
from app.sync.runtime import Runtime
from app.webhooks.claims import Claim
from app.webhooks.messages import ListedEvent, Run, message
from app.webhooks.runs import RUN

LINK_FORMAT = "ndjson"

_EVENTS = "SELECT id, type, at, data::text AS data FROM events WHERE id = ANY($1::uuid[])"

_CHUNKS = """
    SELECT first_row, ndjson FROM report_chunks
    WHERE run_id = $1 AND first_row < $2::bigint + $3::bigint AND first_row + rows > $2 ORDER BY number
"""


class NothingToTell(Exception):
    """What the message was about is no longer kept; says what."""


async def load_events(connection: Connection, claims: Sequence[Claim]) -> dict[UUID, Record]:
    """The events that deliveries tell of, read once however many tell of them."""
    ids = list({claim.event_id for claim in claims if claim.event_id is not None})
    return {row["id"]: row for row in await connection.fetch(_EVENTS, ids)} if ids else {}


@dataclass(slots=True)
class Bodies:
    """Makes bodies; the same for each attempt at a delivery."""

    runtime: Runtime
    _links: RunLinks = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._links = RunLinks(self.runtime.database, self.runtime.vault)

    async def of(self, claim: Claim, events: Mapping[UUID, Record]) -> bytes:
        """The whole body. Raises NothingToTell where its event or run is gone."""
        if claim.event_id is None:
            return await self._of_run(claim)
        event = events.get(claim.event_id)
        if event is None:
            raise NothingToTell("Its event is no longer kept.")
        data = event["data"].encode()
        listed = ListedEvent.of(event["type"], event["at"], data) if claim.series is not None else None
        if listed is None:
            return message(claim.target.format, claim.message_id, event["type"], event["at"], data)
        first = claim.first_row or 0
        return listed.page(claim.target.format, claim.message_id, claim.page, claim.pages, first, claim.rows)

    async def _of_run(self, claim: Claim) -> bytes:
        row = None if claim.run_id is None else await self.runtime.database.pool.fetchrow(RUN, claim.run_id)
        if row is None:
            raise NothingToTell("Its report run is no longer kept.")
        run = Run.of(row)
        if claim.link_until is not None:
            base = await public_base(self.runtime.database, self.runtime.settings)
            url = await self._links.url(base, run.id, LINK_FORMAT, claim.link_until)
            return run.link(claim.target.format, claim.message_id, url, claim.link_until)
        rows = await self._rows(run.id, claim.first_row or 0, claim.rows or 0)
        return run.page(claim.target.format, claim.message_id, claim.page, claim.pages, rows)

    async def _rows(self, run_id: UUID, first: int, rows: int) -> list[bytes]:
        """Rows of a run as JSON objects. Raises NothingToTell where some are gone."""
        found: list[bytes] = []
        for chunk in await self.runtime.database.pool.fetch(_CHUNKS, run_id, first, rows):
            lines = chunk["ndjson"].encode().rstrip(b"\n").split(b"\n")
            begin = max(first - chunk["first_row"], 0)
            found += lines[begin : first + rows - chunk["first_row"]]
        if len(found) != rows:
            raise NothingToTell("The rows of its report run are no longer kept.")
        return found
