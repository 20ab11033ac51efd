"""A run's rows handed out: all of them as a file, or a few of them by number.

Rows are read a stretch at a time, each in a query of its own: a client that reads slowly, or leaves, holds no
connection and keeps nothing in memory but the stretch that it is being sent.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

from app.core.clock import now
from app.core.database import Pool
from app.core.errors import Conflict, FieldError, InvalidInput, SeatwiseError
from app.models import ReportRun
from app.reports.rendering import csv_header
from app.reports.snapshot import CHUNK_ROWS
from app.reports.xlsx import MOST_ROWS, Shape, workbook

Format = Literal["json", "csv", "ndjson", "xlsx"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# What is fetched in one query: few round trips, and little to hold for a client that is slow.
_STRETCH_BYTES = 1_000_000
_MOST_CHUNKS = 16

_SIZES = """
    SELECT coalesce(sum(octet_length(ndjson)), 0)::bigint AS ndjson, coalesce(sum(octet_length(csv)), 0)::bigint AS csv
    FROM report_chunks WHERE run_id = $1
"""
_NEXT = """
    SELECT number, rows, convert_to({0}, 'UTF8') AS content FROM report_chunks
    WHERE run_id = $1 AND number > $2 ORDER BY number LIMIT $3
"""
_BETWEEN = """
    SELECT convert_to(ndjson, 'UTF8') AS ndjson FROM report_chunks
    WHERE run_id = $1 AND number BETWEEN $2 AND $3 ORDER BY number
"""


class RowsGone(SeatwiseError):
    """Rows of a run were removed while they were being read."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is about to be streamed.

    length  its bytes; None where that is known at its end only.
    etag    names the rows.
    """

    name: str
    media_type: str
    length: int | None
    etag: str
    content: AsyncGenerator[bytes]

    @property
    def disposition(self) -> str:
        """Content-Disposition (RFC 6266), with a plain name for clients that know no other."""
        plain = re.sub(r"[^A-Za-z0-9._ -]", "_", self.name)
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(self.name, safe='')}"


def require_rows(run: ReportRun) -> None:
    """Raises Conflict for a run that has no rows, or none yet."""
    if run.status == "failed":
        detail = (run.failure or {}).get("detail", "")
        raise Conflict(f"This run failed: {detail} Run the report again.")
    if run.status != "succeeded":
        raise Conflict(f"This run is {run.status}; its rows are there when it has succeeded.")


async def file_of(pool: Pool, run: ReportRun, format_: Format) -> File:
    """A run as a file. Raises Conflict as `require_rows` does, InvalidInput for more rows than a sheet can have."""
    require_rows(run)
    total = run.total_rows or 0
    if format_ == "xlsx" and total > MOST_ROWS:
        raise InvalidInput(
            [
                FieldError(
                    f"A sheet has room for {MOST_ROWS:,} rows, this run has {total:,}. Take csv.", parameter="format"
                )
            ]
        )
    sizes = await pool.fetchrow(_SIZES, run.id)
    content, length = _content(pool, run, format_, total, sizes)
    return File(
        name=f"{_stem(run)}.{format_}",
        media_type=MEDIA_TYPES[format_],
        length=length,
        etag=f'"{run.digest}"',
        content=content,
    )


def _content(
    pool: Pool, run: ReportRun, format_: Format, total: int, sizes: Any
) -> tuple[AsyncGenerator[bytes], int | None]:
    if format_ == "csv":
        header = csv_header(run.columns)
        return _with(header, _chunks(pool, run.id, "csv", total)), len(header) + sizes["csv"]
    rows = _chunks(pool, run.id, "ndjson", total)
    if format_ == "ndjson":
        return rows, sizes["ndjson"]
    if format_ == "json":
        # Each line feed becomes a comma and a line feed, the last one the end of the array.
        return _array(rows), sizes["ndjson"] + total + 1 if total else 3
    shape = Shape(tuple(run.columns), tuple(run.column_types), total, sizes["ndjson"], run.as_of or now())
    return workbook(shape, rows), None


async def _chunks(pool: Pool, run_id: UUID, column: Literal["csv", "ndjson"], total: int) -> AsyncGenerator[bytes]:
    """All rows as they were written. Raises RowsGone where they end too early."""
    number, at_once, rows = -1, 1, 0
    query = _NEXT.format(column)
    while rows < total:
        stretch = await pool.fetch(query, run_id, number, at_once)
        if not stretch:
            raise RowsGone("The rows of this run were removed while they were read.")
        for chunk in stretch:
            yield chunk["content"]
        number = stretch[-1]["number"]
        rows += sum(chunk["rows"] for chunk in stretch)
        longest = max(len(chunk["content"]) for chunk in stretch)
        at_once = max(1, min(_MOST_CHUNKS, _STRETCH_BYTES // longest))


async def _with(header: bytes, content: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield header
    async for part in content:
        yield part


async def _array(lines: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    joint = b"["
    async for part in lines:
        yield joint + part[:-1].replace(b"\n", b",\n")
        joint = b",\n"
    yield b"]\n" if joint != b"[" else b"[]\n"


async def rows_between(pool: Pool, run: ReportRun, first: int, last: int) -> list[bytes]:
    """The rows from number `first` to `last` (from 0, both included) as JSON objects. Raises as `require_rows`."""
    require_rows(run)
    if last < first:
        return []
    chunks = await pool.fetch(_BETWEEN, run.id, first // CHUNK_ROWS, last // CHUNK_ROWS)
    rows = [line for chunk in chunks for line in chunk["ndjson"].splitlines()]
    skipped = first % CHUNK_ROWS
    return rows[skipped : skipped + last - first + 1]


def _stem(run: ReportRun) -> str:
    """The report's name and the run's date, as a file can be called."""
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", str(run.definition["name"]))[:100].strip(" .")
    return f"{name} {run.as_of:%Y-%m-%d}"
