"""The post: takes mails that are due out of the table and hands them in, one after the other.

A mail that is taken is due again after CLAIM, so whatever becomes of the process that took it, another tries again; its
Message-ID stays, so a mail that was taken twice is recognised as one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from app.core.database import Database, Record
from app.core.settings import Settings
from app.notifications.mail import MailDelayed, MailRefused, MailServer, compose, send

log = structlog.get_logger()

CLAIM = timedelta(minutes=2)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
PATIENCE = timedelta(days=3)
AT_ONCE = 50

_RECORD = "UPDATE notification_emails SET status = 'recorded', updated_at = now() WHERE status = 'pending'"

_TAKE = """
    WITH due AS (
        SELECT id FROM notification_emails WHERE status = 'pending' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE notification_emails e SET attempts = attempts + 1, next_attempt_at = now() + $1, updated_at = now()
        FROM due WHERE e.id = due.id RETURNING e.*
    )
    SELECT t.id, t.address, t.message_id, t.attempts, t.created_at, n.instance_id, n.subject, n.text, n.html,
        now() AS at
    FROM taken t JOIN notifications n ON n.id = t.notification_id
"""

_SETTLE = """
    UPDATE notification_emails SET status = $2, error = $3, updated_at = now() WHERE id = $1 AND status = 'pending'
"""

_DELAY = "UPDATE notification_emails SET next_attempt_at = now() + $2, error = $3, updated_at = now() WHERE id = $1"


async def deliver(database: Database, settings: Settings) -> None:
    """Send the mails that are due. Without SEATWISE_SMTP_URL they are recorded and not sent.

    A server that does not answer ends the turn: each mail waits for its own next attempt.
    """
    if settings.smtp_url is None:
        await database.pool.execute(_RECORD)
        return
    server = MailServer.from_url(settings.smtp_url.get_secret_value())
    for _ in range(AT_ONCE):
        mail = await database.pool.fetchrow(_TAKE, CLAIM)
        if mail is None or not await _attempt(database, settings, server, mail):
            return


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 5 s, doubling to 5 minutes."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 10)), LONGEST_WAIT)


async def _attempt(database: Database, settings: Settings, server: MailServer, mail: Record) -> bool:
    """Try one mail and keep what became of it. False where the server does not take mail now."""
    try:
        message = compose(
            sender=settings.mail_from,
            to=mail["address"],
            subject=mail["subject"],
            text=mail["text"],
            html=mail["html"],
            message_id=mail["message_id"],
            at=mail["created_at"],
            link=_link(settings, mail["instance_id"]),
        )
        await send(server, message)
    except (MailRefused, ValueError) as error:
        log.warning("mail.refused", mail_id=str(mail["id"]), detail=str(error))
        await database.pool.execute(_SETTLE, mail["id"], "failed", str(error))
        return True
    except MailDelayed as error:
        await _delay(database, mail, str(error))
        return False
    await database.pool.execute(_SETTLE, mail["id"], "sent", None)
    return True


async def _delay(database: Database, mail: Any, detail: str) -> None:
    wait = wait_after(mail["attempts"])
    tried_at: datetime = mail["at"]
    if tried_at + wait > mail["created_at"] + PATIENCE:
        log.warning("mail.given_up", mail_id=str(mail["id"]), detail=detail)
        await database.pool.execute(_SETTLE, mail["id"], "failed", detail)
        return
    log.info("mail.delayed", mail_id=str(mail["id"]), wait_s=wait.total_seconds(), detail=detail)
    await database.pool.execute(_DELAY, mail["id"], wait, detail)


def _link(settings: Settings, instance_id: UUID | None) -> str | None:
    if settings.public_url is None or instance_id is None:
        return None
    return f"{settings.public_url.rstrip('/')}/v1/instances/{instance_id}"
