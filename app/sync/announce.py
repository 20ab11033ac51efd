"""What is told when a sync is settled: events for programs, notifications for people, in the settling transaction.

People are told of changes of state only: the first outcome, a failure after a success, a success after a failure, and a
failure that stops the instance.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.core.database import Connection
from app.core.transaction import Transaction, connection_of
from app.events.publish import publish, publish_all
from app.notifications.notify import Kind, notify
from app.sync.announce_changes import tell_comings_and_goings

_SETTLED = """
    SELECT s.id, s.instance_id, i.name, s.failure #>> '{code}' AS code, s.failure #>> '{detail}' AS detail,
        s.failure #>> '{retryable}' = 'true' AS retryable, i.next_sync_at, i.inactive_reason,
        (SELECT p.status FROM syncs p WHERE p.instance_id = s.instance_id AND p.id < s.id
            AND p.status IN ('succeeded', 'failed') ORDER BY p.id DESC LIMIT 1) AS previous
    FROM syncs s JOIN instances i ON i.id = s.instance_id WHERE s.id = $1
"""

_DETECTED = """
    SELECT object_id, name FROM history
    WHERE sync_id = $1 AND kind = 'applications' AND action = 'created' AND after ->> 'kind' = 'detected' ORDER BY id
"""


async def tell_success(connection: Connection, sync_id: UUID) -> None:
    """Of a sync that has just succeeded."""
    settled = await connection.fetchrow(_SETTLED, sync_id)
    if settled is None:
        return
    subjects = _subjects(settled)
    await tell_changes(connection, sync_id)
    await publish(connection, "sync.succeeded", subjects)
    if settled["previous"] == "failed":
        await publish(connection, "sync.recovered", subjects)
        await _notify(connection, settled, "sync_recovered", "syncs again", "Its data is up to date again.")
    elif settled["previous"] is None:
        text = "The first sync has succeeded. Its people, applications and accounts are in the books."
        await _notify(connection, settled, "first_sync_succeeded", "the first sync succeeded", text)


async def tell_failure(connection: Connection, sync_id: UUID, *, inactivated: bool = False) -> None:
    """Of a sync that has just failed.

    inactivated   whether the failure has stopped its instance; that is part of the same notification.
    """
    settled = await connection.fetchrow(_SETTLED, sync_id)
    if settled is None:
        return
    await tell_changes(connection, sync_id)
    await publish(
        connection, "sync.failed", {**_subjects(settled), "reason": settled["detail"], "code": settled["code"]}
    )
    if inactivated:
        await publish(
            connection,
            "instance.inactivated",
            {**_subjects(settled), "reason": settled["inactive_reason"], "detail": settled["detail"]},
        )
    text = f"{settled['detail']}\n\n{_what_to_do(settled, inactivated=inactivated)}"
    if settled["previous"] is None:
        await _notify(connection, settled, "first_sync_failed", "the first sync failed", text)
    elif settled["previous"] == "succeeded" or inactivated:
        await _notify(connection, settled, "sync_failed", "the sync failed", text)


async def tell_changes(transaction: Transaction, sync_id: UUID) -> None:
    """What a sync has written until it was settled, however that was: each application that was detected, and by name
    everybody who came or went.
    """
    connection = await connection_of(transaction)
    settled = await connection.fetchrow(_SETTLED, sync_id)
    if settled is None:
        return
    subjects = _subjects(settled)
    detected = await connection.fetch(_DETECTED, sync_id)
    await publish_all(
        connection,
        "application.detected",
        [{**subjects, "application_id": row["object_id"], "application": row["name"]} for row in detected],
    )
    await tell_comings_and_goings(connection, sync_id, subjects)


def _subjects(settled: Any) -> dict[str, Any]:
    return {"instance_id": settled["instance_id"], "instance": settled["name"], "sync_id": settled["id"]}


def _what_to_do(settled: Any, *, inactivated: bool) -> str:
    if inactivated:
        return (
            "The instance is inactive now and does not sync; its data is kept. Mend the credential at the vendor or "
            'give new secrets, then change the instance with {"status": "live"}.'
        )
    again = settled["next_sync_at"]
    if again is None:
        return "It has no next turn; start a sync by hand once the cause is mended."
    passing = "This may pass by itself. " if settled["retryable"] else ""
    return f"{passing}It is tried again at {again:%Y-%m-%d %H:%M} UTC. You are told when it succeeds."


async def _notify(connection: Connection, settled: Any, kind: Kind, says: str, text: str) -> None:
    await notify(
        connection,
        kind,
        instance_id=settled["instance_id"],
        key=f"{kind}:{settled['id']}",
        subject=f"{settled['name']}: {says}",
        text=text,
    )
