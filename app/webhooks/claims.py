"""Which deliveries a process may send now, and what it says of them afterwards.

A claim is a lease of seconds that its process renews; when the process dies the lease ends, and another takes the
delivery up. Claims are made one process at a time, so that a webhook's `max_concurrency` holds over all replicas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import locks
from app.core.clock import DatabaseClock
from app.core.database import Connection
from app.webhooks.target import Target

LEASE_S = 6.0

# Those that have the fewest under way come first, so that none waits behind a slow one. Statement's time, not the
# transaction's: what was made due a moment ago in this transaction is due.
CLAIM = """
    WITH room AS (
        SELECT w.id, count(d.id) AS busy, w.max_concurrency - count(d.id) AS free
        FROM webhooks w LEFT JOIN deliveries d ON d.webhook_id = w.id AND d.status = 'pending'
            AND d.leased_until IS NOT NULL AND d.leased_until > statement_timestamp()
        WHERE w.status = 'enabled' GROUP BY w.id
    ), due AS (
        SELECT d.id, room.busy + row_number() OVER (PARTITION BY room.id ORDER BY d.next_attempt_at, d.id) AS turn
        FROM room CROSS JOIN LATERAL (
            SELECT id, next_attempt_at FROM deliveries
            WHERE webhook_id = room.id AND status = 'pending' AND next_attempt_at <= statement_timestamp()
                AND (leased_until IS NULL OR leased_until <= statement_timestamp())
            ORDER BY next_attempt_at LIMIT least(room.free, $1) FOR NO KEY UPDATE SKIP LOCKED
        ) AS d WHERE room.free > 0
    ), picked AS (SELECT id FROM due ORDER BY turn, id LIMIT $1)
    UPDATE deliveries d SET leased_until = statement_timestamp() + make_interval(secs => $2)
    FROM picked p, webhooks w WHERE d.id = p.id AND w.id = d.webhook_id
    RETURNING d.id, d.message_id, d.event, d.event_id, d.run_id, d.series, d.page, d.pages, d.first_row, d.rows,
        d.link_until, d.tries, d.created_at, w.failing_since IS NOT NULL AS was_failing,
        clock_timestamp() AS claimed_at, w.id AS webhook_id, w.url, w.format, w.auth, w.sealed, w.sealed_signing
"""

_RENEW = """
    UPDATE deliveries SET leased_until = statement_timestamp() + make_interval(secs => $2)
    WHERE id = ANY($1::uuid[]) AND status = 'pending'
"""

_GIVE_BACK = """
    UPDATE deliveries SET leased_until = NULL, next_attempt_at = statement_timestamp() + make_interval(secs => $2)
    WHERE id = ANY($1::uuid[]) AND status = 'pending'
"""


_OWN = (
    "id", "message_id", "event", "event_id", "run_id", "series", "page", "pages", "first_row", "rows", "link_until",
    "tries", "created_at", "was_failing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process has under way.

    was_failing   whether nothing had got through to its webhook lately, when it was claimed.
    clock         the database's time from then on.
    """

    id: UUID
    message_id: UUID
    event: str
    event_id: UUID | None
    run_id: UUID | None
    series: UUID | None
    page: int
    pages: int
    first_row: int | None
    rows: int | None
    link_until: datetime | None
    tries: int
    created_at: datetime
    was_failing: bool
    target: Target
    clock: DatabaseClock

    @classmethod
    def of(cls, row: Any) -> Claim:
        target = Target(row["webhook_id"], row["url"], row["format"], row["auth"], row["sealed"], row["sealed_signing"])
        return cls(**{name: row[name] for name in _OWN}, target=target, clock=DatabaseClock(row["claimed_at"]))


async def claim(connection: Connection, at_most: int) -> list[Claim]:
    """Take what is due, within each webhook's cap; the caller has opened a transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", locks.CLAIMS_OF_DELIVERIES)
    return [Claim.of(row) for row in await connection.fetch(CLAIM, at_most, LEASE_S)]


async def renew(connection: Connection, ids: Sequence[UUID]) -> None:
    await connection.execute(_RENEW, ids, LEASE_S)


async def give_back(connection: Connection, ids: Sequence[UUID], *, in_s: float = 0.0) -> None:
    """Let others take what was not sent, after so many seconds."""
    await connection.execute(_GIVE_BACK, ids, in_s)
