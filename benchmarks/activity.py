"""Days of use as bits of a year against a row for each day: the same question, the same days, in one database."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import msgspec

from app.activity.days import Span, mark, masks_by_year, window
from app.core.clock import today
from app.core.database import Connection
from benchmarks.books import Books
from benchmarks.tables import Table, megabytes, middle, times

WINDOW_DAYS = 30


class Size(msgspec.Struct, frozen=True):
    """merged: accounts used on the day that is merged."""

    merged: int
    rounds: int


FULL = Size(merged=300_000, rounds=3)
QUICK = Size(merged=1_000, rounds=1)

_MAKE_DAYS = (
    "CREATE TABLE use_days (application_id uuid NOT NULL, account_id uuid NOT NULL, day date NOT NULL)",
    """
    INSERT INTO use_days
    SELECT c.application_id, c.id, p.day FROM accounts c JOIN applications a ON a.id = c.application_id
    JOIN pattern_days p ON p.pattern = (hashtext(a.vendor_id || c.vendor_id) & 1048575)
        % (SELECT count(*) FROM patterns)
    WHERE c.last_active_at IS NOT NULL
    ORDER BY c.application_id, c.id
    """,
    "ALTER TABLE use_days ADD PRIMARY KEY (application_id, account_id, day)",
    "VACUUM ANALYZE use_days",
)

# Within one calendar year an account has one row, so nothing is grouped.
_BITS_ONE_YEAR = """
    SELECT account_id, bit_count(days & ($1::bit(366)[])[1]) AS days_active
    FROM activity_years WHERE year = $2 {where}
"""
_BITS = """
    SELECT account_id, sum(bit_count(days & ($1::bit(366)[])[year - $2 + 1])) AS days_active
    FROM activity_years WHERE year BETWEEN $2 AND $3 {where} GROUP BY application_id, account_id
"""
_DAYS = """
    SELECT account_id, count(*) AS days_active
    FROM use_days WHERE day BETWEEN $1 AND $2 {where} GROUP BY application_id, account_id
"""
_ONE_APPLICATION = "AND application_id = (SELECT id FROM applications ORDER BY id LIMIT 1)"

_STAGE = """
    CREATE TABLE day_uses AS SELECT application_id, id AS account_id FROM accounts ORDER BY hashtext(id::text) LIMIT {}
"""
_MERGE_BITS = """
    INSERT INTO activity_years (application_id, account_id, year, last_day, days)
    SELECT u.application_id, u.account_id, $1, $2, $3 FROM day_uses u
    LEFT JOIN activity_years y
        ON y.application_id = u.application_id AND y.account_id = u.account_id AND y.year = $1
    WHERE y.account_id IS NULL OR (y.days | $3) <> y.days
    ON CONFLICT (application_id, account_id, year) DO UPDATE SET
        days = activity_years.days | excluded.days, last_day = greatest(activity_years.last_day, excluded.last_day)
"""
_MERGE_DAYS = """
    INSERT INTO use_days SELECT application_id, account_id, $1 FROM day_uses ON CONFLICT DO NOTHING
"""


async def measure(url: str, books: Books, size: Size) -> AsyncIterator[Table]:
    connection = await asyncpg.connect(url)
    try:
        for statement in _MAKE_DAYS:
            await connection.execute(statement)
        asked = window(WINDOW_DAYS, books.history.last)
        await _same_answers(connection, asked)
        rows = [
            await _window_row(connection, "all accounts", "", asked, size.rounds),
            await _window_row(connection, "one application", _ONE_APPLICATION, asked, size.rounds),
        ]
        yield Table(
            f"Days active in {WINDOW_DAYS} days, {books.accounts:,} accounts, {books.history.days} days of use",
            ("question", "row per day ms", "bits ms", "times"),
            rows,
        )
        yield await _sizes(connection)
        yield await _merges(connection, size)
    finally:
        await connection.close()


def _questions(where: str, asked: Span) -> tuple[tuple[str, tuple[object, ...]], tuple[str, tuple[object, ...]]]:
    """Statement and parameters: of the row per day, of the bits."""
    masks, first, last = masks_by_year(asked, asked), asked.first.year, asked.last.year
    bits: tuple[str, tuple[object, ...]] = (_BITS_ONE_YEAR, (masks, first))
    if first != last:
        bits = (_BITS, (masks, first, last))
    return (_DAYS.format(where=where), (asked.first, asked.last)), (bits[0].format(where=where), bits[1])


async def _same_answers(connection: Connection, asked: Span) -> None:
    sums = [
        await connection.fetchval(f"SELECT sum(days_active)::bigint FROM ({statement}) s", *values)
        for statement, values in _questions("", asked)
    ]
    assert sums[0] == sums[1], f"the two tables tell different days: {sums}"


async def _window_row(connection: Connection, name: str, where: str, asked: Span, rounds: int) -> list[str]:
    days, bits = _questions(where, asked)
    took_days, took_bits = [], []
    for _ in range(rounds):
        took_days.append(await _explained(connection, *days))
        took_bits.append(await _explained(connection, *bits))
    return [name, middle(took_days, 1), middle(took_bits, 1), times(took_days, took_bits)]


async def _explained(connection: Connection, statement: str, values: tuple[object, ...]) -> float:
    """Milliseconds of execution, without sending the rows."""
    plan = await connection.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *values)
    return float(json.loads(plan)[0]["Execution Time"])


async def _sizes(connection: Connection) -> Table:
    days, bits = [
        float(await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", table))
        for table in ("use_days", "activity_years")
    ]
    row = ["table and key", megabytes(days), megabytes(bits), times([days], [bits])]
    return Table("On disk", ("", "row per day MB", "bits MB", "times"), [row])


async def _merges(connection: Connection, size: Size) -> Table:
    """One day more, then the same day again."""
    await connection.execute(_STAGE.format(size.merged))
    await connection.execute("ANALYZE day_uses")
    day = today()
    ((year, bits),) = mark([day]).items()
    before = await _updates(connection)
    rows = []
    for name in (f"{size.merged:,} accounts used on one more day", "the same again"):
        took_days, wal_days = await _cost(connection, lambda: connection.execute(_MERGE_DAYS, day))
        took_bits, wal_bits = await _cost(connection, lambda: connection.execute(_MERGE_BITS, year, day, bits))
        rows.append(
            [
                name,
                middle([took_days * 1000]),
                middle([took_bits * 1000]),
                times([took_days], [took_bits]),
                megabytes(wal_days),
                megabytes(wal_bits),
            ]
        )
    updated, hot = (after - first for after, first in zip(await _updates(connection), before, strict=True))
    header = ("merge", "row per day ms", "bits ms", "times", "row per day WAL MB", "bits WAL MB")
    return Table("Merging a day", header, rows, (f"{hot / max(1, updated):.0%} of the updates of bits were in place.",))


async def _cost(connection: Connection, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds and bytes of write-ahead log. A checkpoint comes first, so that each begins alike."""
    await connection.execute("CHECKPOINT")
    before = await connection.fetchval("SELECT pg_current_wal_insert_lsn()::text")
    began = time.perf_counter()
    await work()
    took = time.perf_counter() - began
    wal = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)", before)
    return took, float(wal)


async def _updates(connection: Connection) -> tuple[int, int]:
    """Rows of the bits updated so far, and those of them whose new version fitted beside the old one."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await connection.fetchrow(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'activity_years'"
    )
    assert row is not None
    return row["n_tup_upd"], row["n_tup_hot_upd"]
