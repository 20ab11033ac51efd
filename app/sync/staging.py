"""The temporary tables of a run's connection. Each batch of pages is copied in and merged by set-based statements; the
tables empty themselves at the end of each transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.core.database import Connection

_TABLES = (
    """
    CREATE TEMP TABLE stage_users (
        vendor_id text, username text, email text, name text, active boolean, vendor_status text, role text,
        metadata jsonb, fields jsonb,
        email_key text, anchor text, person_username text, given_name text, family_name text, person_role text,
        person_fields jsonb, person_id uuid, changed boolean NOT NULL DEFAULT true
    ) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE stage_seats (
        application_id uuid, vendor_id text, seat text, assigned_at timestamptz
    ) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE stage_entries (
        vendor_id text, key text, name text, definition text, active boolean, access text, groups text[],
        groups_match text, bypass_kind text, domain text
    ) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE stage_uses (
        application_id uuid, vendor_id text, year smallint, days bit(366), last_at timestamptz
    ) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE stage_lost (
        account_id uuid, new_seat text, was_active boolean
    ) ON COMMIT DELETE ROWS
    """,
)


async def prepare(connection: asyncpg.Connection[Any]) -> None:
    """Make the tables. Statements over them look each staged row up through an index (LATERAL … OFFSET 0): the server
    knows nothing of the size of temporary tables and little of books that are being filled, and left to itself it would
    read all accounts for each batch of a few thousand rows.
    """
    for table in _TABLES:
        await connection.execute(table)
    # A batch need not wait for the disk: with it a crash of the server loses its checkpoint too, and the run reads its
    # pages again. The commit that settles the sync waits, and for all batches before it.
    for setting in ("jit", "enable_hashjoin", "enable_mergejoin", "enable_seqscan", "synchronous_commit"):
        await connection.execute(f"SET {setting} = off")


async def commit_to_disk(connection: Connection) -> None:
    """Let the commit of this transaction wait until it is safe."""
    await connection.execute("SET LOCAL synchronous_commit = on")


async def plan_for_many(connection: Connection) -> None:
    """For the rest of the transaction, let the server plan statements that touch most of an instance's rows."""
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan"):
        await connection.execute(f"SET LOCAL {setting} = on")


@asynccontextmanager
async def without_loops(connection: Connection) -> AsyncIterator[None]:
    """For statements that compare all of an instance with all that was seen. What the server believes of tables that
    were filled a moment ago may be that they are empty, and then it would look through all that was seen once for each
    row: without loops its time grows with the rows, whatever it believes.

    Lasts for the block; what `plan_for_many` does, for the rest of the transaction.
    """
    await plan_for_many(connection)
    await connection.execute("SET LOCAL enable_nestloop = off")
    yield
    await connection.execute("SET LOCAL enable_nestloop = on")
