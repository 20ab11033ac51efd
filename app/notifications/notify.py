"""Telling people of a change of state: in the service at once, by e-mail as soon as the mail server takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal
from uuid import UUID

from app.core.database import Connection
from app.core.ids import new_id
from app.core.transaction import Transaction, connection_of

Kind = Literal[
    "first_sync_succeeded",
    "first_sync_failed",
    "sync_failed",
    "sync_recovered",
    "sync_overdue",
    "sync_missed",
    "credential_expiring",
    "webhook_disabled",
    "plan_held",
]

_ADDRESSES = """
    SELECT email FROM (
        SELECT 0 AS origin, place, email FROM notification_recipients
        UNION ALL
        SELECT 1, place, email FROM instances, unnest(contacts) WITH ORDINALITY AS c (email, place) WHERE id = $1
        UNION ALL
        SELECT 2, 0, created_by ->> 'email' FROM instances
        WHERE id = $1 AND NOT EXISTS (SELECT FROM notification_recipients)
    ) AS listed
    WHERE email LIKE '%_@_%' ORDER BY origin, place
"""


async def notify(
    transaction: Transaction,
    kind: Kind,
    *,
    instance_id: UUID | None,
    key: str,
    subject: str,
    text: str,
    also: Sequence[str] = (),
) -> bool:
    """Tell a change of state once, if and only if the caller's transaction commits. False where it was told before.

    It goes to the global recipients, the instance's contacts and, where there are no global recipients, the instance's
    creator; each address once.

    key    names the change of state, such as `sync_failed:<id of the sync>`.
    text   plain text: what happened, why, and what to do; an empty line begins a paragraph.
    also   further addresses; what is no address is passed over.
    """
    connection = await connection_of(transaction)
    notification_id = await connection.fetchval(
        """
        INSERT INTO notifications (id, key, kind, instance_id, subject, text, html) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (key) DO NOTHING RETURNING id
        """,
        new_id(),
        key,
        kind,
        instance_id,
        " ".join(subject.split()),
        text,
        as_html(text),
    )
    if notification_id is None:
        return False
    await _address(connection, notification_id, instance_id, also)
    return True


def as_html(text: str) -> str:
    """The paragraphs of a plain text as HTML."""
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    return "\n".join(f"<p>{escape(part)}</p>".replace("\n", "<br>\n") for part in paragraphs)


def each_once(addresses: Iterable[str]) -> list[str]:
    """The addresses in their order, without those that differ from an earlier one by case at most."""
    unique: dict[str, str] = {}
    for address in addresses:
        unique.setdefault(address.casefold(), address)
    return list(unique.values())


async def _address(
    connection: Connection, notification_id: UUID, instance_id: UUID | None, also: Sequence[str]
) -> None:
    found = [row["email"] for row in await connection.fetch(_ADDRESSES, instance_id)]
    mails = [(new_id(), address) for address in each_once([*found, *(a for a in also if "@" in a)])]
    await connection.executemany(
        "INSERT INTO notification_emails (id, notification_id, address, message_id) VALUES ($1, $2, $3, $4)",
        [(mail_id, notification_id, address, f"<{mail_id}@seatwise>") for mail_id, address in mails],
    )
