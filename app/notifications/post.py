"""The post: takes mails that are due out of the table and hands them in, one after the other.

A mail that is taken is due again after CLAIM, so whatever becomes of the process that took it, another tries again; its
Message-ID stays, so a mail that was taken twice is recognised as one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import structlog

from app.core.database import Database, Record
from app.core.settings import Settings
from app.notifications.mail import LIMIT_S, MailDelayed, MailRefused, MailServer, compose, send

log = structlog.get_logger()

CLAIM = timedelta(minutes=2)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
PATIENCE = timedelta(days=3)
AT_ONCE = 50

_RECORD = "UPDATE {table} SET status = 'recorded', updated_at = now() WHERE status = 'pending'"

_TAKE = """
    WITH due AS (
        SELECT id FROM {table} WHERE status = 'pending' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE {table} e SET attempts = attempts + 1, next_attempt_at = now() + $1, updated_at = now()
        FROM due WHERE e.id = due.id RETURNING e.*
    )
    SELECT t.*, now() AS at {content}
"""

_SETTLE = """
    UPDATE {table} SET status = $2, error = $3, updated_at = now() WHERE id = $1 AND status = 'pending'
"""

_NOTIFICATION = (
    ", n.instance_id, n.subject, n.text, n.html FROM taken t JOIN notifications n ON n.id = t.notification_id"
)

_DELAY = "UPDATE {table} SET next_attempt_at = now() + $2, error = $3, updated_at = now() WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Outbox:
    """Mails of one kind.

    table     has the columns of `notification_emails` from `address` on, with an index of what is due.
    content   the rest of a SELECT of what is taken: further columns, `FROM taken t` and joins.
    compose   makes the mail from a row of it. Raises ValueError for an address that no header can hold.
    limit_s   how long handing in one mail may take; shorter than CLAIM.
    """

    table: str
    content: str
    compose: Callable[[Record], Awaitable[EmailMessage]]
    limit_s: float = LIMIT_S

    def sql(self, statement: str) -> str:
        return statement.format(table=self.table, content=self.content)


async def deliver(database: Database, settings: Settings) -> None:
    """Send the notifications that are due by mail, as `empty` does."""

    async def as_mail(row: Record) -> EmailMessage:
        return compose(
            sender=settings.mail_from,
            to=row["address"],
            subject=row["subject"],
            text=row["text"],
            html=row["html"],
            message_id=row["message_id"],
            at=row["created_at"],
            link=_link(settings, row["instance_id"]),
        )

    await empty(Outbox("notification_emails", _NOTIFICATION, as_mail), database, settings)


async def empty(outbox: Outbox, database: Database, settings: Settings) -> None:
    """Send the mails that are due. Without SEATWISE_SMTP_URL they are recorded and not sent.

    A server that does not answer ends the turn: each mail waits for its own next attempt.
    """
    if settings.smtp_url is None:
        await database.pool.execute(outbox.sql(_RECORD))
        return
    server = MailServer.from_url(settings.smtp_url.get_secret_value())
    for _ in range(AT_ONCE):
        mail = await database.pool.fetchrow(outbox.sql(_TAKE), CLAIM)
        if mail is None or not await _attempt(outbox, database, server, mail):
            return


def wait_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 5 s, doubling to 5 minutes."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 10)), LONGEST_WAIT)


async def _attempt(outbox: Outbox, database: Database, server: MailServer, mail: Record) -> bool:
    """Try one mail and keep what became of it. False where the server does not take mail now."""
    try:
        await send(server, await outbox.compose(mail), limit_s=outbox.limit_s)
    except (MailRefused, ValueError) as error:
        log.warning("mail.refused", mail_id=str(mail["id"]), detail=str(error))
        await database.pool.execute(outbox.sql(_SETTLE), mail["id"], "failed", str(error))
        return True
    except MailDelayed as error:
        await _delay(outbox, database, mail, str(error))
        return False
    await database.pool.execute(outbox.sql(_SETTLE), mail["id"], "sent", None)
    return True


async def _delay(outbox: Outbox, database: Database, mail: Any, detail: str) -> None:
    wait = wait_after(mail["attempts"])
    tried_at: datetime = mail["at"]
    if tried_at + wait > mail["created_at"] + PATIENCE:
        log.warning("mail.given_up", mail_id=str(mail["id"]), detail=detail)
        await database.pool.execute(outbox.sql(_SETTLE), mail["id"], "failed", detail)
        return
    log.info("mail.delayed", mail_id=str(mail["id"]), wait_s=wait.total_seconds(), detail=detail)
    await database.pool.execute(outbox.sql(_DELAY), mail["id"], wait, detail)


def _link(settings: Settings, instance_id: UUID | None) -> str | None:
    if settings.public_url is None or instance_id is None:
        return None
    return f"{settings.public_url.rstrip('/')}/v1/instances/{instance_id}"
