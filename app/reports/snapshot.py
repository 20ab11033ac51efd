"""The snapshot of a run: the answer to a report's question, written out once, in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from app.activity.days import Span
from app.activity.keyset import Values
from app.core.database import Connection
from app.reports.query import OutColumn, Question, build
from app.reports.rendering import csv_line, ndjson_line

CHUNK_ROWS = 1000
# Of a snapshot's sort and hashes; enough for most to stay off the disk.
_WORK_MEM = "64MB"
# A process that is stopped in the middle of a snapshot keeps its successor waiting no longer than this.
_LONGEST_PAUSE = "60s"

# The rows are numbered in the order in which the question gives them; within a chunk they are joined in that order.
_WRITE = """
    WITH written AS (
        INSERT INTO report_chunks (run_id, number, first_row, rows, ndjson, csv, subjects)
        SELECT {run}::uuid, (n / {size})::int, min(n), count(*), string_agg({ndjson}, '' ORDER BY n),
            string_agg({csv}, '' ORDER BY n), array_agg(subject ORDER BY n)
        FROM (SELECT row_number() OVER () - 1 AS n, question.* FROM ({question}) AS question) AS numbered
        GROUP BY n / {size}
        RETURNING rows
    )
    SELECT coalesce(sum(rows), 0)::bigint FROM written
"""

_COVERED_UNTIL = "SELECT max(covered_until) FROM instances WHERE status <> 'deleting'"
_READ = "SELECT convert_to(ndjson, 'UTF8') AS ndjson FROM report_chunks WHERE run_id = $1 ORDER BY number"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a run's rows once they are written.

    as_of          when the question was asked.
    digest         `sha256:…` of the rows as NDJSON.
    covered_until  time of the latest complete read of activity; None where there was none.
    """

    as_of: datetime
    window: Span
    columns: tuple[OutColumn, ...]
    total_rows: int
    digest: str
    covered_until: datetime | None


async def prepare(connection: Connection) -> None:
    """Settings of a snapshot's transaction, for the rest of it."""
    await connection.execute(f"SET LOCAL work_mem = '{_WORK_MEM}'")
    await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_LONGEST_PAUSE}'")
    await connection.execute("SET LOCAL jit = off")


async def take(connection: Connection, run_id: UUID, definition: Mapping[str, Any]) -> Snapshot:
    """Write the rows of a run that has none yet, in the caller's transaction.

    Raises InvalidInput where the definition no longer fits, because a field of it is gone.
    """
    as_of: datetime = await connection.fetchval("SELECT now()")
    question = await build(connection, definition, as_of)
    total = await _write(connection, run_id, question)
    return Snapshot(
        as_of=as_of,
        window=question.window,
        columns=question.columns,
        total_rows=total,
        digest=await digest_of(connection, run_id),
        covered_until=await connection.fetchval(_COVERED_UNTIL),
    )


async def _write(connection: Connection, run_id: UUID, question: Question) -> int:
    values = Values(question.values)
    statement = _WRITE.format(
        run=values.add(run_id),
        size=CHUNK_ROWS,
        ndjson=ndjson_line(question.columns, values),
        csv=csv_line(question.columns),
        question=question.sql,
    )
    total: int = await connection.fetchval(statement, *values)
    return total


async def digest_of(connection: Connection, run_id: UUID) -> str:
    """The digest of the rows as they will be handed out, read chunk by chunk in the caller's transaction."""
    digest = sha256()
    async for chunk in connection.cursor(_READ, run_id, prefetch=4):
        digest.update(chunk["ndjson"])
    return f"sha256:{digest.hexdigest()}"
