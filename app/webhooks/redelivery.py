"""Sending again what failed, or what a receiver has lost."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.core.errors import Conflict, NotFound
from app.models import Delivery, Webhook
from app.webhooks.waking import wake

_AGAIN = """
    UPDATE deliveries SET status = 'pending', tries = 0, leased_until = NULL, delivered_at = NULL,
        next_attempt_at = now(), updated_at = now()
    WHERE id = :id
"""

# The failed pages of one series, or all that failed since a time; of each series the first alone is due.
_FAILED = """
    WITH failed AS (
        SELECT id, series IS NULL OR page = min(page) OVER (PARTITION BY series) AS is_first
        FROM deliveries WHERE webhook_id = :webhook_id AND status = 'failed' AND {which}
    )
    UPDATE deliveries d SET status = 'pending', tries = 0, leased_until = NULL, updated_at = now(),
        next_attempt_at = CASE WHEN f.is_first THEN now() END
    FROM failed f WHERE d.id = f.id AND d.status = 'failed'
"""
_OF_SERIES = text(_FAILED.format(which="series = :series"))
# What has failed for good is not touched again, so that its change is its failing.
_SINCE = text(_FAILED.format(which="updated_at >= :since"))


async def redeliver(session: AsyncSession, delivery_id: UUID) -> Delivery:
    """Send a delivery again, with the same message id. A failed page takes all failed pages of its series along, in
    their order; one that waits for its next attempt is sent now. Raises NotFound, and Conflict while it is under way,
    waits for the page before it, or its webhook is disabled.
    """
    webhook_id = await session.scalar(select(Delivery.webhook_id).where(Delivery.id == delivery_id))
    if webhook_id is None:
        raise NotFound("There is no delivery with this id.")
    await _require_enabled(session, webhook_id)
    delivery = await session.get_one(Delivery, delivery_id, with_for_update=True)
    if delivery.status == "pending":
        await _hasten(session, delivery)
    elif delivery.status == "failed" and delivery.series is not None:
        await session.execute(_OF_SERIES, {"webhook_id": delivery.webhook_id, "series": delivery.series})
    else:
        await session.execute(text(_AGAIN), {"id": delivery.id})
    await wake(session)
    await session.refresh(delivery)
    return delivery


async def _hasten(session: AsyncSession, delivery: Delivery) -> None:
    """A receiver that was mended need not wait for the ladder."""
    if delivery.leased_until is not None and delivery.leased_until > now():
        raise Conflict("The delivery is being sent right now.")
    if delivery.next_attempt_at is None:
        raise Conflict("The delivery waits for the page before it.")
    await session.execute(text("UPDATE deliveries SET next_attempt_at = now() WHERE id = :id"), {"id": delivery.id})


async def redeliver_since(session: AsyncSession, webhook_id: UUID, since: datetime) -> int:
    """Send again all deliveries of a webhook that have failed for good since a time, whenever they were made; answers
    how many. Raises NotFound, and Conflict while the webhook is disabled.
    """
    await _require_enabled(session, webhook_id)
    done = await session.execute(_SINCE, {"webhook_id": webhook_id, "since": since})
    await wake(session)
    return int(getattr(done, "rowcount", 0))


async def _require_enabled(session: AsyncSession, webhook_id: UUID) -> None:
    """Nothing may disable it meanwhile."""
    webhook = await session.get(Webhook, webhook_id, with_for_update={"read": True})
    if webhook is None:
        raise NotFound("There is no webhook with this id.")
    if webhook.status != "enabled":
        raise Conflict('The webhook is disabled. Change it with {"status": "enabled"} first.')
