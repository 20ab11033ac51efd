"""Taking an instance's accounts out of the books, batch by batch, in the background.

From the moment it is asked for, the instance is `leaving`: nothing of it counts anywhere and no sync of it runs. Each
batch is a transaction of its own that looks for what is still there, so that a removal that was killed goes on where
it stood, and nothing but the rows themselves says how far it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.core.database import Connection
from app.core.faults import is_database_fault
from app.core.queue import enqueue
from app.events.publish import publish
from app.models import CoverageYear, Instance, Plan, StrayUse, Sync
from app.sync.close import HAND_ON_PEOPLE, SETTLE_PEOPLE
from app.sync.leased import Again
from app.sync.requests import UNFINISHED, cancel_sync
from app.sync.runtime import Runtime
from app.sync.shared_people import own_people

log = structlog.get_logger()

REMOVAL_JOB = "removal"
BATCH = 1000
# A batch waits so long for syncs that are writing people; they wait behind it as long, so it is short.
PATIENCE_S = 1.0

Step = Callable[[Connection, UUID], Awaitable[bool]]
"""Removes one batch in the caller's transaction. False where there is nothing left to remove."""


def removal_key(instance_id: UUID) -> str:
    return f"removal:{instance_id}"


async def hold_sync(session: AsyncSession, instance_id: UUID) -> None:
    """Lock the unfinished sync of an instance, if there is one, before the instance: in the order in which a sync that
    is being settled locks the two.
    """
    await session.scalar(
        select(Sync.id).where(Sync.instance_id == instance_id, Sync.status.in_(UNFINISHED)).with_for_update()
    )


async def remove_accounts(session: AsyncSession, instance: Instance) -> None:
    """Let the instance's accounts count no more, and ask for their removal. It is locked, and its sync held."""
    running = await session.scalar(select(Sync.id).where(Sync.instance_id == instance.id, Sync.status.in_(UNFINISHED)))
    if running is not None:
        await cancel_sync(session, running)
    instance.leaving = True
    instance.activity_cursor = instance.covered_until = instance.users_read_at = instance.held_plan_id = None
    instance.updated_at = now()
    await session.execute(delete(CoverageYear).where(CoverageYear.instance_id == instance.id))
    await session.execute(delete(StrayUse).where(StrayUse.instance_id == instance.id))
    await session.execute(
        update(Plan)
        .where(Plan.instance_id == instance.id, Plan.status.in_(("planning", "ready", "held")))
        .values(status="superseded", updated_at=now())
    )
    await enqueue(session, REMOVAL_JOB, {"instance_id": str(instance.id)}, key=removal_key(instance.id))
    await session.flush()


async def remove_instance(session: AsyncSession, instance: Instance) -> None:
    """Begin the end of an instance. It is locked, and its sync held."""
    instance.status = "deleting"
    instance.next_sync_at = None
    await remove_accounts(session, instance)


async def run_removal(runtime: Runtime, instance_id: UUID, stopping: asyncio.Event) -> Again | None:
    """Remove what is left of an instance that is leaving. None once that is done, by whomever; else when to go on."""
    try:
        connection = await runtime.database.connect()
    except (OSError, asyncpg.PostgresError):
        return Again(2)
    try:
        # Ends with the connection, however the process ends.
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", str(instance_id)):
            return Again(2)
        return await _remove(connection, instance_id, stopping)
    except asyncpg.LockNotAvailableError:
        return Again(0.5)
    except Exception as error:
        if not is_database_fault(error):
            log.exception("removal.fault", instance_id=str(instance_id))
            return Again(60)
        log.warning("removal.database_lost", error=type(error).__name__)
        return Again(2)
    finally:
        await connection.close()


async def _remove(connection: Connection, instance_id: UUID, stopping: asyncio.Event) -> Again | None:
    status = await connection.fetchval("SELECT status FROM instances WHERE id = $1 AND leaving", instance_id)
    if status is None:
        return None
    for step in _STEPS if status == "deleting" else _STEPS_OF_ACCOUNTS:
        while True:
            if stopping.is_set():
                return Again(0)
            async with connection.transaction():
                more = await step(connection, instance_id)
            if not more:
                break
    async with connection.transaction():
        return await (_end if status == "deleting" else _end_of_accounts)(connection, instance_id)


async def _end(connection: Connection, instance_id: UUID) -> None:
    name = await connection.fetchval("DELETE FROM instances WHERE id = $1 RETURNING name", instance_id)
    if name is not None:
        await publish(connection, "instance.deleted", {"instance_id": instance_id, "instance": name})
        log.info("instance.deleted", instance_id=str(instance_id))


async def _end_of_accounts(connection: Connection, instance_id: UUID) -> Again | None:
    """Not yet where the instance itself was deleted meanwhile."""
    status = await connection.fetchval(
        "UPDATE instances SET leaving = (status = 'deleting') WHERE id = $1 RETURNING status", instance_id
    )
    return Again(0) if status == "deleting" else None


_SETTLE = SETTLE_PEOPLE.format(mine="SELECT unnest($3::uuid[]) AS person_id")
_HAND_ON = HAND_ON_PEOPLE.format(
    orphans="SELECT id FROM people WHERE id = ANY($3::uuid[]) AND source_instance_id IS NULL"
)
_DISOWN = """
    UPDATE people SET source_instance_id = NULL, source_vendor_id = NULL
    WHERE id = ANY($1::uuid[]) AND source_instance_id = $2
"""
_NEXT_ACTIVE = """
    SELECT DISTINCT u.person_id FROM vendor_users u JOIN people p ON p.id = u.person_id AND p.status = 'active'
    WHERE u.instance_id = $1 AND NOT EXISTS (
        SELECT 1 FROM accounts a JOIN instances i ON i.id = a.instance_id AND NOT i.leaving
        WHERE a.person_id = p.id AND a.status = 'active'
    ) AND NOT EXISTS (
        SELECT 1 FROM vendor_users o JOIN instances i ON i.id = o.instance_id AND NOT i.leaving
        WHERE o.person_id = p.id AND o.active AND o.listed AND i.sync ->> 'scope' = 'users'
    )
    LIMIT $2
"""
_ACCOUNTS = "SELECT id, application_id FROM accounts WHERE instance_id = $1 LIMIT $2"
_DAYS = """
    DELETE FROM activity_years y USING unnest($1::uuid[], $2::uuid[]) AS gone (application_id, account_id)
    WHERE y.application_id = gone.application_id AND y.account_id = gone.account_id
"""
_VENDOR_USERS = """
    DELETE FROM vendor_users WHERE instance_id = $1 AND vendor_id IN (
        SELECT vendor_id FROM vendor_users WHERE instance_id = $1 LIMIT $2
    ) RETURNING person_id
"""
_UNKNOWN_PEOPLE = """
    DELETE FROM people p WHERE p.id = ANY($1::uuid[])
      AND NOT EXISTS (SELECT 1 FROM vendor_users u WHERE u.person_id = p.id)
      AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = p.id)
    RETURNING p.id
"""
_FORMER_PEOPLE = "SELECT id FROM people WHERE source_instance_id = $1 LIMIT $2"
_HISTORY = "DELETE FROM history WHERE object_id = ANY($1::uuid[])"
_APPLICATIONS = "SELECT id FROM applications WHERE instance_id = $1 LIMIT $2"
_HISTORY_OF_SYNCS = """
    DELETE FROM history WHERE id IN (
        SELECT h.id FROM syncs s JOIN history h ON h.sync_id = s.id
        WHERE s.instance_id = $1 AND h.kind <> 'people' LIMIT $2
    )
"""
# What happened to people who stay has still happened.
_HISTORY_OF_PEOPLE = """
    UPDATE history SET instance_id = NULL, sync_id = NULL WHERE id IN (
        SELECT h.id FROM syncs s JOIN history h ON h.sync_id = s.id WHERE s.instance_id = $1 LIMIT $2
    )
"""
_SEEN = """
    DELETE FROM sync_seen n USING (
        SELECT n.read_id, n.vendor_id FROM syncs s JOIN sync_reads r ON r.sync_id = s.id
        JOIN sync_seen n ON n.read_id = r.id WHERE s.instance_id = $1 LIMIT $2
    ) gone WHERE n.read_id = gone.read_id AND n.vendor_id = gone.vendor_id
"""
_ERRORS = """
    DELETE FROM sync_errors WHERE id IN (
        SELECT e.id FROM syncs s JOIN sync_errors e ON e.sync_id = s.id WHERE s.instance_id = $1 LIMIT $2
    )
"""
_PAGES = """
    DELETE FROM plan_pages WHERE ctid = ANY (ARRAY(
        SELECT g.ctid FROM plans p JOIN plan_pages g ON g.plan_id = p.id WHERE p.instance_id = $1 LIMIT $2
    ))
"""
_CHANGES = """
    DELETE FROM plan_changes WHERE ctid = ANY (ARRAY(
        SELECT c.ctid FROM plans p JOIN plan_changes c ON c.plan_id = p.id WHERE p.instance_id = $1 LIMIT $2
    ))
"""
_ENTRY_USERS = """
    DELETE FROM entry_users
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM entry_users WHERE instance_id = $1 LIMIT $2))
"""
_ENTRY_YEARS = """
    DELETE FROM entry_years
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM entry_years WHERE instance_id = $1 LIMIT $2))
"""
_SYNCS = "DELETE FROM syncs WHERE id IN (SELECT id FROM syncs WHERE instance_id = $1 LIMIT $2)"


async def _settle_people(connection: Connection, instance_id: UUID) -> bool:
    """People who are active by this instance alone are inactive, before its rows begin to go."""
    await own_people(connection, PATIENCE_S)
    found = [row["person_id"] for row in await connection.fetch(_NEXT_ACTIVE, instance_id, BATCH)]
    await connection.execute(_SETTLE, None, None, found)
    return bool(found)


async def _remove_accounts(connection: Connection, instance_id: UUID) -> bool:
    rows = await connection.fetch(_ACCOUNTS, instance_id, BATCH)
    ids = [row["id"] for row in rows]
    await connection.execute(_DAYS, [row["application_id"] for row in rows], ids)
    await connection.execute(_HISTORY, ids)
    await connection.execute("DELETE FROM accounts WHERE id = ANY($1::uuid[])", ids)
    return bool(ids)


async def _remove_users(connection: Connection, instance_id: UUID) -> bool:
    """Vendor users, and the people whom nobody else knows; the others bear another source's name from now on."""
    await own_people(connection, PATIENCE_S)
    rows = await connection.fetch(_VENDOR_USERS, instance_id, BATCH)
    await _let_go(connection, instance_id, {row["person_id"] for row in rows})
    return bool(rows)


async def _remove_former_people(connection: Connection, instance_id: UUID) -> bool:
    """People of whom the instance is the source although it lists them no more, under no user."""
    await own_people(connection, PATIENCE_S)
    rows = await connection.fetch(_FORMER_PEOPLE, instance_id, BATCH)
    await _let_go(connection, instance_id, {row["id"] for row in rows})
    return bool(rows)


async def _let_go(connection: Connection, instance_id: UUID, people: set[UUID]) -> None:
    gone = {row["id"] for row in await connection.fetch(_UNKNOWN_PEOPLE, people)}
    await connection.execute(_HISTORY, gone)
    staying = people - gone
    await connection.execute(_DISOWN, staying, instance_id)
    await connection.execute(_HAND_ON, None, None, staying)
    await connection.execute(_SETTLE, None, None, staying)


async def _remove_applications(connection: Connection, instance_id: UUID) -> bool:
    ids = [row["id"] for row in await connection.fetch(_APPLICATIONS, instance_id, BATCH)]
    await connection.execute(_HISTORY, ids)
    await connection.execute("DELETE FROM application_entries WHERE application_id = ANY($1::uuid[])", ids)
    await connection.execute("DELETE FROM applications WHERE id = ANY($1::uuid[])", ids)
    return bool(ids)


def _by(statement: str) -> Step:
    """A step that is one statement on the instance's id and a limit."""

    async def remove(connection: Connection, instance_id: UUID) -> bool:
        return not (await connection.execute(statement, instance_id, BATCH)).endswith(" 0")

    return remove


_STEPS_OF_ACCOUNTS: tuple[Step, ...] = (
    _settle_people,
    _remove_accounts,
    _by(_ENTRY_USERS),
    _by(_ENTRY_YEARS),
    _remove_users,
    _remove_former_people,
)
_STEPS: tuple[Step, ...] = (
    *_STEPS_OF_ACCOUNTS,
    _remove_applications,
    *(
        _by(statement)
        for statement in (_HISTORY_OF_SYNCS, _HISTORY_OF_PEOPLE, _PAGES, _CHANGES, _SEEN, _ERRORS, _SYNCS)
    ),
)
