from __future__ import annotations

import asyncpg
import msgspec
import pytest

from app.activity.written import rfc3339
from app.core.database import open_database

MOMENTS = [
    "2026-11-03T09:30:00Z",
    "2026-11-03T09:30:00.5Z",
    "2024-02-29T23:59:59.123456Z",
    "2026-01-01T00:00:00.000001Z",
    "0987-06-05T04:03:02Z",
    "2026-11-03T09:30:00+05:30",
]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_time_as_text_is_written_as_a_time(database_url: str, moment: str) -> None:
    """Also where the database has been told to write times of another zone, in another way."""
    name = await _told_otherwise(database_url)
    database = await open_database(database_url, size=1)
    try:
        row = await database.pool.fetchrow(
            "SELECT t, t::text AS text FROM (SELECT $1::text::timestamptz AS t) x", moment
        )
    finally:
        await database.close()
        await _execute(database_url, f"ALTER DATABASE {name} RESET ALL")
    assert row is not None
    assert msgspec.json.encode(row["t"]).decode() == f'"{rfc3339(row["text"])}"'


@pytest.mark.parametrize("text", ["2026-11-03 18:30:00+09", "11/03/2026 09:30:00.5 UTC", "infinity+00 00"])
def test_a_time_that_is_not_in_utc_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="not in UTC"):
        rfc3339(text)


async def _told_otherwise(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        name: str = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
        await connection.execute(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'")
        return name
    finally:
        await connection.close()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
