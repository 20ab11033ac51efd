"""Disabling a webhook that receives nothing any more, and telling whom it concerns, in one transaction."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from app.core.database import Connection, Record
from app.events.publish import publish
from app.notifications.notify import notify

Reason = Literal["gone", "failing"]

_DISABLE = """
    UPDATE webhooks SET status = 'disabled', disabled_reason = $2, updated_at = now()
    WHERE id = $1 AND status = 'enabled'
    RETURNING id, name, coalesce(failing_since, now()) AS failing_since, created_by ->> 'email' AS creator,
        EXISTS (SELECT FROM notification_recipients) AS has_recipients, now() AS at
"""

# Of webhooks that are disabled, by whomever; what is under way comes to its own end.
_FAIL_PENDING = """
    UPDATE deliveries d SET status = 'failed', next_attempt_at = NULL, leased_until = NULL, updated_at = now(),
        attempts = d.attempts || jsonb_build_object('at', now(), 'status_code', NULL, 'latency_ms', NULL,
            'error', format('Not sent, because the webhook is disabled (%s).', w.disabled_reason),
            'answer_excerpt', NULL)
    FROM webhooks w
    WHERE w.id = d.webhook_id AND w.status = 'disabled' AND d.status = 'pending'
        AND (d.leased_until IS NULL OR d.leased_until <= now())
"""

_WHY = {
    "gone": "It answered 410 (Gone): it wants no further messages.",
    "failing": "Nothing has got through to it for five days.",
}


async def disable(connection: Connection, webhook_id: UUID, reason: Reason, error: str | None) -> None:
    """Disable a webhook, fail what waits for it, and tell programs and people; nothing where it is disabled already.

    error   of its last attempt.
    """
    webhook = await connection.fetchrow(_DISABLE, webhook_id, reason)
    if webhook is None:
        return
    await fail_pending(connection)
    await publish(
        connection, "webhook.disabled", {"webhook_id": webhook_id, "webhook": webhook["name"], "reason": reason}
    )
    creator = webhook["creator"]
    await notify(
        connection,
        "webhook_disabled",
        instance_id=None,
        key=f"webhook_disabled:{webhook_id}:{webhook['at'].isoformat()}",
        subject=f"The webhook {webhook['name']} was disabled",
        text=_text(webhook, reason, error),
        also=[creator] if creator and not webhook["has_recipients"] else [],
    )


async def fail_pending(connection: Connection) -> None:
    """Fail what waits for disabled webhooks; it can be sent again once they are enabled."""
    await connection.execute(_FAIL_PENDING)


def _text(webhook: Record, reason: Reason, error: str | None) -> str:
    last = f"\n\nThe last answer: {error}" if error else ""
    return (
        f"The webhook {webhook['name']} was disabled. {_WHY[reason]} It has failed since "
        f"{webhook['failing_since']:%Y-%m-%d %H:%M} UTC.{last}\n\n"
        f"No message is sent to it any more; those that waited have failed and are kept for 30 days. Once the receiver "
        f'is mended, enable it with PATCH /v1/webhooks/{webhook["id"]} {{"status": "enabled"}}, and send what it has '
        f'missed with POST /v1/webhooks/{webhook["id"]}/redeliver {{"since": …}}.'
    )
