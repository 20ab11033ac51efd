"""Writing down what came of attempts, many at a time, and what follows: the next page, another attempt, or the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

import msgspec

from app.core.database import Connection, Record
from app.webhooks.claims import Claim
from app.webhooks.disabling import disable
from app.webhooks.target import Outcome

# A webhook to which nothing has got through for so long is disabled.
PATIENCE = timedelta(days=5)

# A success counts even where somebody has given the delivery up meanwhile: the receiver has it.
_SETTLE = """
    UPDATE deliveries d SET
        status = CASE WHEN s.ok THEN 'succeeded' WHEN s.wait_s IS NULL THEN 'failed' ELSE 'pending' END,
        attempts = d.attempts || s.attempt::jsonb,
        tries = d.tries + 1,
        next_attempt_at = now() + make_interval(secs => s.wait_s),
        leased_until = NULL,
        workflow_execution_id = coalesce(s.execution_id, d.workflow_execution_id),
        delivered_at = CASE WHEN s.ok THEN now() END,
        updated_at = now()
    FROM unnest($1::uuid[], $2::boolean[], $3::float8[], $4::text[], $5::text[])
        AS s (id, ok, wait_s, attempt, execution_id)
    WHERE d.id = s.id AND (d.status = 'pending' OR s.ok AND d.status = 'failed')
    RETURNING d.webhook_id, d.series, d.page, d.status
"""

# The page after the acknowledged one becomes due, unless it is under way or waits for its next attempt.
_NEXT_PAGE = """
    UPDATE deliveries d SET next_attempt_at = now()
    FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS done (webhook_id, series, page)
    WHERE d.webhook_id = done.webhook_id AND d.series = done.series AND d.status = 'pending'
        AND d.next_attempt_at IS NULL AND d.page = (
            SELECT min(n.page) FROM deliveries n
            WHERE n.webhook_id = done.webhook_id AND n.series = done.series AND n.page > done.page
                AND n.status = 'pending'
        )
"""

_FAIL_BEHIND = """
    UPDATE deliveries d SET status = 'failed', next_attempt_at = NULL, leased_until = NULL, updated_at = now(),
        attempts = d.attempts || jsonb_build_object('at', now(), 'status_code', NULL, 'latency_ms', NULL,
            'error', format('Not sent, because page %s before it failed for good.', given_up.page),
            'answer_excerpt', NULL)
    FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS given_up (webhook_id, series, page)
    WHERE d.webhook_id = given_up.webhook_id AND d.series = given_up.series AND d.page > given_up.page
        AND d.status = 'pending'
"""

_HEALTH = """
    UPDATE webhooks w SET failing_since = CASE
        WHEN h.failing_from IS NULL THEN NULL WHEN h.was_reached THEN h.failing_from
        ELSE coalesce(w.failing_since, h.failing_from) END
    FROM unnest($1::uuid[], $2::timestamptz[], $3::boolean[]) AS h (id, failing_from, was_reached)
    WHERE w.id = h.id AND ((w.failing_since IS NULL) <> (h.failing_from IS NULL)
        OR h.was_reached AND w.failing_since IS NOT NULL)
"""

# Before the deliveries are touched: whoever changes a webhook locks in this order too.
_LOCK = "SELECT FROM webhooks WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"

_WORN_OUT = """
    SELECT id FROM webhooks WHERE id = ANY($1::uuid[]) AND status = 'enabled' AND failing_since < now() - $2::interval
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """One attempt and what follows. wait_s is None where nothing more is tried."""

    claim: Claim
    outcome: Outcome
    wait_s: float | None


async def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Write down attempts; the caller has opened a transaction."""
    await _keep_health(connection, settled)
    rows = await connection.fetch(
        _SETTLE,
        [one.claim.id for one in settled],
        [one.outcome.ok for one in settled],
        [None if one.outcome.ok else one.wait_s for one in settled],
        [_attempt(one.outcome) for one in settled],
        [one.outcome.workflow_execution_id for one in settled],
    )
    in_series = [row for row in rows if row["series"] is not None]
    await _follow(connection, _NEXT_PAGE, (row for row in in_series if row["status"] == "succeeded"))
    await _follow(connection, _FAIL_BEHIND, (row for row in in_series if row["status"] == "failed"))
    await _disable_lost(connection, settled)


def _attempt(outcome: Outcome) -> str:
    return msgspec.json.encode(
        {
            "at": outcome.at,
            "status_code": outcome.status_code,
            "latency_ms": outcome.latency_ms,
            "error": outcome.error,
            "answer_excerpt": outcome.answer_excerpt,
        }
    ).decode()


async def _follow(connection: Connection, statement: str, rows: Iterable[Record]) -> None:
    found = list(rows)
    if found:
        await connection.execute(
            statement, *([row[name] for row in found] for name in ("webhook_id", "series", "page"))
        )


async def _keep_health(connection: Connection, settled: Sequence[Settled]) -> None:
    """Since when each webhook fails; nothing to do where all is well and was."""
    if all(one.outcome.ok and not one.claim.was_failing for one in settled):
        return
    by_webhook = groupby(sorted(settled, key=_by_webhook), key=lambda one: one.claim.target.id)
    health = {webhook_id: _health([one.outcome for one in group]) for webhook_id, group in by_webhook}
    if any(not one.outcome.ok for one in settled):
        await connection.execute(_LOCK, list(health))
    await connection.execute(
        _HEALTH,
        list(health),
        [failing_from for failing_from, _ in health.values()],
        [was_reached for _, was_reached in health.values()],
    )


async def _disable_lost(connection: Connection, settled: Sequence[Settled]) -> None:
    """Disable the webhooks that want nothing more, and those that have failed for too long."""
    gone = {one.claim.target.id: one.outcome for one in settled if one.outcome.gone}
    failing = {one.claim.target.id: one.outcome for one in settled if not one.outcome.ok}
    for webhook_id, outcome in gone.items():
        await disable(connection, webhook_id, "gone", outcome.error)
    if failing:
        for row in await connection.fetch(_WORN_OUT, list(failing), PATIENCE):
            await disable(connection, row["id"], "failing", failing[row["id"]].error)


def _by_webhook(one: Settled) -> tuple[UUID, datetime]:
    return one.claim.target.id, one.outcome.at


def _health(outcomes: Sequence[Outcome]) -> tuple[datetime | None, bool]:
    """Of a webhook's attempts in order of time: since when they fail at their end (None: they do not), and whether any
    got through.
    """
    failing_from: datetime | None = None
    was_reached = False
    for outcome in outcomes:
        if outcome.ok:
            failing_from, was_reached = None, True
        elif failing_from is None:
            failing_from = outcome.at
    return failing_from, was_reached
