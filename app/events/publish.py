"""Telling what happened, in the transaction in which it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from app.core.ids import new_id
from app.core.transaction import Transaction, connection_of

EventType = Literal[
    "instance.launched",
    "instance.inactivated",
    "instance.reactivated",
    "instance.deleted",
    "sync.succeeded",
    "sync.failed",
    "sync.recovered",
    "application.detected",
    "person.created",
    "person.deactivated",
    "account.created",
    "account.deactivated",
    "account.reactivated",
    "credential.expiring",
    "plan.held",
    "report.completed",
    "report.failed",
    "webhook.disabled",
]


async def publish(transaction: Transaction, type_: EventType, data: Mapping[str, Any]) -> None:
    """Tell an event if and only if the caller's transaction commits.

    data   JSON values (ids and times may be given as such); names its subjects: `instance_id`, `instance`, `sync_id`,
           `application_id`, `application`, `credential_id`, `reason` and the like. Never a secret.
    """
    await publish_all(transaction, type_, [data])


async def publish_all(transaction: Transaction, type_: EventType, messages: Sequence[Mapping[str, Any]]) -> None:
    """Tell several events of one type, in their order."""
    connection = await connection_of(transaction)
    await connection.executemany(
        "INSERT INTO events (id, type, data) VALUES ($1, $2, $3::text::jsonb)",
        [(new_id(), type_, msgspec.json.encode(data).decode()) for data in messages],
    )
