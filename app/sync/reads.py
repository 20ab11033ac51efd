"""How far each stream of a sync has been read: opened, advanced with each batch of pages, begun again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import Connection, Record
from app.sync.apply_groups import GROUP_STREAM

ASSIGNMENTS = "assignments"


@dataclass(slots=True)
class Read:
    """One row of `sync_reads`; `cursor` and `done` follow it as pages are written."""

    id: int
    stream: str
    scope_id: str
    cursor: str | None
    done: bool
    since: datetime | None
    until: datetime | None


_COLUMNS = "id, stream, scope_id, cursor, done, since, until"


def _read(row: Record) -> Read:
    return Read(*row.values())


async def open_read(
    connection: Connection,
    sync_id: UUID,
    stream: str,
    *,
    cursor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Read:
    """The read of a stream; where a dead worker has begun it, as that one left it."""
    await connection.execute(
        "INSERT INTO sync_reads (sync_id, stream, cursor, since, until) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        sync_id,
        stream,
        cursor,
        since,
        until,
    )
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM sync_reads WHERE sync_id = $1 AND stream = $2 AND scope_id = ''", sync_id, stream
    )
    if row is None:
        raise RuntimeError("a read was neither made nor found")
    return _read(row)


async def open_scopes(connection: Connection, sync_id: UUID, instance_id: UUID, applications_read: int) -> None:
    """A read for each application whose assignments are to be listed, and for each group that some of them name."""
    await connection.execute(
        f"""
        WITH entries AS (
            SELECT e.vendor_id, e.access, e.groups FROM application_entries e
            JOIN sync_seen s ON s.read_id = $3 AND s.vendor_id = e.vendor_id
            WHERE e.instance_id = $2 AND e.access IN ('assigned', 'groups')
        )
        INSERT INTO sync_reads (sync_id, stream, scope_id)
        SELECT $1, '{ASSIGNMENTS}', vendor_id FROM entries
        UNION ALL
        SELECT DISTINCT $1::uuid, '{GROUP_STREAM}', unnest(groups) FROM entries WHERE access = 'groups'
        ON CONFLICT DO NOTHING
        """,
        sync_id,
        instance_id,
        applications_read,
    )


async def scopes_to_read(connection: Connection, sync_id: UUID, instance_id: UUID) -> list[Read]:
    """The scopes that the vendor must still be asked for: groups, and applications with a list of their own."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM sync_reads r
        WHERE r.sync_id = $1 AND NOT r.done AND (
            r.stream = '{GROUP_STREAM}'
            OR (r.stream = '{ASSIGNMENTS}' AND EXISTS (
                SELECT 1 FROM application_entries e
                WHERE e.instance_id = $2 AND e.vendor_id = r.scope_id AND e.access = 'assigned'
            ))
        )
        ORDER BY r.id
        """,
        sync_id,
        instance_id,
    )
    return [_read(row) for row in rows]


async def entries_to_resolve(connection: Connection, sync_id: UUID, instance_id: UUID) -> list[Read]:
    """The applications whose seats follow from groups, not resolved yet."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM sync_reads r
        WHERE r.sync_id = $1 AND NOT r.done AND r.stream = '{ASSIGNMENTS}' AND EXISTS (
            SELECT 1 FROM application_entries e
            WHERE e.instance_id = $2 AND e.vendor_id = r.scope_id AND e.access = 'groups'
        )
        ORDER BY r.id
        """,
        sync_id,
        instance_id,
    )
    return [_read(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Step:
    """How far pages that are written bring their read.

    seen   records noted in sync_seen for the first time with these pages.
    """

    read: Read
    cursor: str | None
    done: bool
    seen: int = 0


async def advance(connection: Connection, steps: Collection[Step]) -> None:
    """Set the checkpoints after pages, in the transaction that writes them; one step for each read."""
    await connection.execute(
        """
        UPDATE sync_reads r SET cursor = s.cursor, done = s.done, seen = r.seen + s.seen
        FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::int[]) AS s (id, cursor, done, seen)
        WHERE r.id = s.id
        """,
        [step.read.id for step in steps],
        [step.cursor for step in steps],
        [step.done for step in steps],
        [step.seen for step in steps],
    )
    for step in steps:
        step.read.cursor, step.read.done = step.cursor, step.done


async def restart(connection: Connection, read_id: int) -> None:
    """Begin a read anew; what it has noted is forgotten with it."""
    await connection.execute("DELETE FROM sync_seen WHERE read_id = $1", read_id)
    await connection.execute("UPDATE sync_reads SET cursor = NULL, done = false, seen = 0 WHERE id = $1", read_id)


async def note_seen(connection: Connection, met: Collection[tuple[int, str]]) -> dict[int, int]:
    """Note who was met in which read (its id); answers how many of them for the first time, by read."""
    rows = await connection.fetch(
        """
        WITH noted AS (
            INSERT INTO sync_seen (read_id, vendor_id)
            SELECT DISTINCT read_id, vendor_id FROM unnest($1::bigint[], $2::text[]) AS m (read_id, vendor_id)
            ON CONFLICT DO NOTHING RETURNING read_id
        )
        SELECT read_id, count(*) AS number FROM noted GROUP BY read_id
        """,
        [read_id for read_id, _ in met],
        [vendor_id for _, vendor_id in met],
    )
    return {row["read_id"]: row["number"] for row in rows}
