"""A run on copies of the books: the same streams and the same close, written to temporary tables.

Temporary tables stand before all others in a session, so under the names of the books the statements of a run find the
copies. The session is read-only besides, which PostgreSQL takes to mean everything but temporary tables: what this
module does not copy cannot be written, and nobody waits for a lock of a rehearsal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.connectors import registry
from app.core.database import Connection
from app.core.ids import new_id
from app.models import Credential, Instance
from app.sync.close import hand_on_people, settle_people
from app.sync.finish import judge
from app.sync.lease import Lease, Snapshot
from app.sync.plan_changes import Book, changes_of
from app.sync.plan_lease import PlanLease
from app.sync.plan_pages import NoCost, ReplayConnector
from app.sync.run import read_streams, scope_of
from app.sync.staging import prepare
from app.sync.tally import Tally
from app.sync.work import Work

_MINE = "SELECT * FROM {0} WHERE instance_id = $1"
_ALL = "SELECT * FROM {0} WHERE $1::uuid IS NOT NULL"

# Of other instances' accounts one active one of each person is enough to tell who stays active.
_ACCOUNTS = """
    SELECT * FROM {0} WHERE instance_id = $1
    UNION ALL
    (SELECT DISTINCT ON (a.person_id) a.* FROM {0} a JOIN instances i ON i.id = a.instance_id AND NOT i.leaving
     WHERE a.instance_id <> $1 AND a.status = 'active')
"""

# What a run writes, and which rows of it a run looks at.
_COPIES = {
    "people": _ALL,
    "vendor_users": _ALL,
    "applications": _MINE,
    "application_entries": _MINE,
    "accounts": _ACCOUNTS,
    "entry_users": _MINE,
    "entry_years": None,
    "history": None,
    "sync_reads": None,
    "sync_seen": None,
    "sync_errors": None,
}
_PAST = "past_history"


@dataclass(frozen=True, slots=True)
class _Nobodys(Lease):
    """Stands where a sync's lease does; a rehearsal needs none, for nobody else sees its tables."""

    @asynccontextmanager
    async def transaction(self, connection: Connection) -> AsyncIterator[Connection]:
        async with connection.transaction():
            yield connection

    async def save(self, connection: Connection, snapshot: Snapshot) -> None:
        """There is no row to show progress in."""


async def rehearse(lease: PlanLease, instance: Instance, credential: Credential, read_at: datetime) -> None:
    """Run the plan's read on copies of the books and make the plan ready, with every change by name. Raises LeaseLost.

    Costs a copy of the instance's accounts and of all people, in temporary files of the database.
    """
    connection = await lease.database.connect()
    try:
        upto, based_at = await _copy_books(connection, instance)
        work = _work(lease, instance, credential, read_at, connection)
        users, applications, _ = await read_streams(work)
        async with work.writing():
            await judge(work, connection, users, applications)
            await hand_on_people(connection, work.scope)
            await settle_people(connection, work.scope)
        await _make_ready(lease, connection, work, upto, based_at)
    finally:
        await connection.close()


async def _copy_books(connection: asyncpg.Connection[Any], instance: Instance) -> tuple[int, datetime]:
    """The last row of history that the copies know of, and as of when they are."""
    async with connection.transaction(isolation="repeatable_read"):
        await prepare(connection)
        row = await connection.fetchrow("SELECT coalesce(max(id), 0) AS last, now() AS at FROM history")
        if row is None:
            raise RuntimeError("an aggregate gives a row")
        await connection.execute(f"CREATE TEMP VIEW {_PAST} AS SELECT id, object_id FROM history")
        for table, rows in _COPIES.items():
            await connection.execute(f"CREATE TEMP TABLE copy_of_{table} (LIKE {table} INCLUDING ALL)")
            if rows is not None:
                await connection.execute(f"INSERT INTO copy_of_{table} {rows.format(table)}", instance.id)
        for table in _COPIES:
            await connection.execute(f"ALTER TABLE copy_of_{table} RENAME TO {table}")
            await connection.execute(f"ANALYZE {table}")
    await connection.execute("SET default_transaction_read_only = on")
    return row["last"], row["at"]


def _work(
    lease: PlanLease, instance: Instance, credential: Credential, read_at: datetime, connection: asyncpg.Connection[Any]
) -> Work:
    manifest = registry.manifest(instance.connector)
    sync_id = new_id()
    return Work(
        lease=_Nobodys(lease.database, sync_id, 0, lease.seconds),
        scope=scope_of(instance, credential, sync_id, confirmed=True),
        instance=instance,
        credential_name=credential.name,
        manifest=manifest,
        connector=ReplayConnector(lease.database.pool, lease.plan_id, frozenset(manifest.streams)),
        client=NoCost(),
        connection=connection,
        tally=Tally.begin({}, {}, 0, 0.0),
        began_at=read_at,
    )


async def _make_ready(
    lease: PlanLease, connection: asyncpg.Connection[Any], work: Work, upto: int, based_at: datetime
) -> None:
    """Two connections, because one cannot write: the copies' names are read on the other."""
    book = Book(lease.plan_id)
    async with connection.transaction(), lease.transaction() as writing:
        changes = changes_of(connection, work.scope.sync_id, after=0, past=_PAST, upto=upto)
        async with aclosing(changes) as batches:  # type: ignore[type-var]  # it is an asynchronous generator
            async for batch in batches:
                await book.write(writing, batch)
        await writing.execute(
            "UPDATE plans SET status = 'ready', digest = $2, counts = $3, based_at = $4, lease_until = NULL,"
            " updated_at = now() WHERE id = $1",
            lease.plan_id,
            book.digest,
            book.counts,
            based_at,
        )
