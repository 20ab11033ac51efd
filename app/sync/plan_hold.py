"""The brakes: what a sync would take away, too much to believe, is kept as a plan that names it; and what becomes of
plans when a sync has finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.database import Connection
from app.core.ids import new_id
from app.events.publish import publish
from app.notifications.notify import notify
from app.sync.absence import AbsenceCounts, HeldReason, gone_entries, take_away
from app.sync.close import hand_on_people, settle_people
from app.sync.plan_changes import Book, Change, changes_of
from app.sync.scope import RunScope

_HOLD = """
    INSERT INTO plans
        (id, instance_id, sync_id, status, reason, digest, counts, based_at, seen_until, gone_entries, settings)
    SELECT $1, i.id, $3, 'held', $4, NULL, '{}', now(),
        coalesce((SELECT h.seen_until FROM plans h WHERE h.id = i.held_plan_id), i.users_read_at), $5, $6
    FROM instances i WHERE i.id = $2
"""

_SUPERSEDE = """
    WITH gone AS (
        UPDATE plans SET status = 'superseded', updated_at = now()
        WHERE instance_id = $1 AND status IN ('planning', 'ready', 'held') AND id IS DISTINCT FROM $2
    )
    DELETE FROM plan_pages USING plans p WHERE plan_id = p.id AND p.instance_id = $1
"""


async def settle_plans(
    connection: Connection, scope: RunScope, counts: AbsenceCounts, applications_read: int | None
) -> UUID | None:
    """At the end of a sync that succeeded: hold what it must not take away, and let go of every earlier plan of the
    instance, in the sync's last transaction, after its people are settled. Answers the plan that is held now.
    """
    held = None
    if counts.reason is not None:
        held = await _hold(connection, scope, counts.reason, applications_read)
    await connection.execute("UPDATE instances SET held_plan_id = $2 WHERE id = $1", scope.instance_id, held)
    await connection.execute("UPDATE syncs SET held_plan_id = $2 WHERE id = $1", scope.sync_id, held)
    await connection.execute(_SUPERSEDE, scope.instance_id, held)
    return held


_ASKED_ALREADY = """
    SELECT true FROM instances i JOIN plans p ON p.id = i.held_plan_id WHERE i.id = $1 AND p.digest = $2
"""


async def _hold(
    connection: Connection, scope: RunScope, reason: HeldReason, applications_read: int | None
) -> UUID | None:
    """Keep by name what would be taken away, seats, applications and people; None where nothing would be."""
    gone = await gone_entries(connection, scope, applications_read)
    changes = await _names(connection, scope, gone)
    if not changes:
        return None
    book = Book(new_id())
    await connection.execute(_HOLD, book.plan_id, scope.instance_id, scope.sync_id, reason, gone, scope.settings)
    await book.write(connection, changes)
    await connection.execute(
        "UPDATE plans SET digest = $2, counts = $3 WHERE id = $1", book.plan_id, book.digest, book.counts
    )
    asked = await connection.fetchval(_ASKED_ALREADY, scope.instance_id, book.digest)
    await _ask(connection, scope, reason, book, again=bool(asked))
    return book.plan_id


async def _ask(connection: Connection, scope: RunScope, reason: HeldReason, book: Book, *, again: bool) -> None:
    """A held plan is a question, so somebody is told; once, while each sync holds the same `again`."""
    name = await connection.fetchval("SELECT name FROM instances WHERE id = $1", scope.instance_id)
    subjects = {"instance_id": scope.instance_id, "instance": name, "sync_id": scope.sync_id}
    await publish(connection, "plan.held", {**subjects, "plan_id": book.plan_id, "reason": reason})
    why = {
        "limit": f"That is more than the limit of {scope.deactivation_limit_percent} %.",
        "zero_rows": "The vendor suddenly lists nothing where there was something.",
    }
    if again:
        return
    deactivated = book.counts["deactivated"]
    await notify(
        connection,
        "plan_held",
        instance_id=scope.instance_id,
        key=f"plan_held:{book.plan_id}",
        subject=f"{name}: {deactivated} deactivations wait for your word",
        text=f"A sync of {name} would deactivate {deactivated} accounts. {why[reason]} Everything else is applied.\n\n"
        f"Look at the names under /v1/plans/{book.plan_id}/changes, then apply the plan or discard it. "
        "The next sync judges anew.",
    )


async def _names(connection: Connection, scope: RunScope, gone: Sequence[str]) -> list[Change]:
    """What taking away would change: it is done, read, and undone."""
    before = int(await connection.fetchval("SELECT coalesce(max(id), 0) FROM history"))
    changes: list[Change] = []
    undo = connection.transaction()
    await undo.start()
    try:
        await take_away(connection, scope, gone)
        await hand_on_people(connection, scope)
        await settle_people(connection, scope)
        async for batch in changes_of(connection, scope.sync_id, after=before, upto=before):
            changes += batch
    finally:
        await undo.rollback()
    return changes
