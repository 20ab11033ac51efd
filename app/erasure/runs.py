"""Taking a person out of the rows of report runs. Rows and figures stay; the run gets the digest of what it has now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.core.database import Connection, Record
from app.erasure.traces import NAME, Eraser
from app.reports.rendering import csv_header
from app.reports.snapshot import digest_of

BATCH = 50

_RUNS = """
    SELECT id FROM report_runs WHERE status = 'succeeded' AND as_of <= $1 AND id > $2 ORDER BY id LIMIT $3
"""
_UNFINISHED = "SELECT EXISTS (SELECT FROM report_runs WHERE status = 'running' AND started_at <= $1)"
_HOLD = "SELECT columns, definition ->> 'dataset' AS dataset FROM report_runs WHERE id = $1 FOR NO KEY UPDATE"
_CHUNKS = """
    SELECT number, ndjson, csv, subjects FROM report_chunks
    WHERE run_id = $1 AND (subjects @> ARRAY[$2::uuid] OR ndjson ~* ANY($3::text[])) ORDER BY number
"""
_WRITE = "UPDATE report_chunks SET ndjson = $3, csv = $4 WHERE run_id = $1 AND number = $2"
_SETTLE = "UPDATE report_runs SET digest = $2, erased_at = now(), updated_at = now() WHERE id = $1"

_OWN = {"name", "email", "username", "given_name", "family_name", "isc_native_identity"}
_OPEN = ("metadata.", "fields.")
# One cell of RFC 4180, with what ends it.
_CELL = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)')


def is_personal(column: str) -> bool:
    """Whether a report's column may name somebody."""
    return column in _OWN or column.startswith(_OPEN)


async def are_unfinished(connection: Connection, before: datetime) -> bool:
    """Whether runs that may have asked the books before a time have not written their rows yet."""
    return bool(await connection.fetchval(_UNFINISHED, before))


async def next_runs(connection: Connection, before: datetime, after: UUID) -> list[UUID]:
    """Runs that asked the books before a time, in the order of their ids."""
    return [row["id"] for row in await connection.fetch(_RUNS, before, after, BATCH)]


async def out_of_run(connection: Connection, run_id: UUID, eraser: Eraser) -> bool:
    """Rewrite the rows of one run in which the person is named, in the caller's transaction. False where none is."""
    run = await connection.fetchrow(_HOLD, run_id)
    if run is None or run["dataset"] == "applications":
        return False
    changed = False
    for chunk in await connection.fetch(_CHUNKS, run_id, eraser.traces.person_id, eraser.patterns):
        ndjson, csv = rewritten(chunk, run["columns"], eraser)
        if ndjson != chunk["ndjson"]:
            await connection.execute(_WRITE, run_id, chunk["number"], ndjson, csv)
            changed = True
    if changed:
        await connection.execute(_SETTLE, run_id, await digest_of(connection, run_id))
    return changed


def rewritten(chunk: Record, columns: Sequence[str], eraser: Eraser) -> tuple[str, str]:
    """The chunk's rows as NDJSON and as CSV; those that do not name the person are as they were, byte for byte."""
    lines, records = chunk["ndjson"].split("\n")[:-1], _records(chunk["csv"], len(columns))
    for place, (line, subject) in enumerate(zip(lines, chunk["subjects"], strict=True)):
        row = msgspec.json.decode(line)
        new = {key: _cell(key, value, eraser, own=subject == eraser.traces.person_id) for key, value in row.items()}
        if new == row:
            continue
        lines[place] = msgspec.json.encode(new).decode()
        for cell, key in enumerate(columns):
            if new[key] != row[key]:
                records[place][cell] = _as_csv(new[key], alone=len(columns) == 1)
    return "".join(f"{line}\n" for line in lines), "".join(",".join(record) + "\r\n" for record in records)


def _cell(key: str, value: Any, eraser: Eraser, *, own: bool) -> Any:
    if key.startswith(_OPEN):
        return None if own else eraser.out_of_texts(value)
    if own and key in _OWN and value is not None:
        return NAME if key == "name" else None
    return value


def _records(csv: str, width: int) -> list[list[str]]:
    """Each row's cells as they are written."""
    cells = [match.group(1) for match in _CELL.finditer(csv)]
    return [cells[start : start + width] for start in range(0, len(cells), width)]


def _as_csv(value: str | None, *, alone: bool) -> str:
    """One cell as the rest of the file has them."""
    if value is None:
        return '""' if alone else ""
    return csv_header([value]).decode().removesuffix("\r\n")
