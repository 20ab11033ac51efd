"""Connections as they come back from callers who went away."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.database import Database, open_database


async def _describe_and_go(database: Database, goes: type[BaseException]) -> None:
    async with database.pool.acquire() as connection:
        # Described and never executed, as when a request is cancelled between the two.
        await connection.prepare("SELECT count(*) FROM pg_class")
        raise goes


async def test_a_refused_statement_does_not_tell_its_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with database.session() as session:
            await session.execute(
                text("SELECT 1 / CAST(:number AS int), CAST(:word AS text)"), {"number": 0, "word": "w"}
            )
    assert "division by zero" in str(refused.value)
    assert "SQL parameters hidden" in str(refused.value)


@pytest.mark.parametrize("goes", [RuntimeError, asyncio.CancelledError])
async def test_whoever_goes_away_leaves_no_transaction_behind(database_url: str, goes: type[BaseException]) -> None:
    database = await open_database(database_url, size=1)
    try:
        first = await database.pool.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(goes):
            await _describe_and_go(database, goes)
        async with database.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            assert await connection.fetchval("SELECT pg_backend_pid()") == first
    finally:
        await database.close()


async def test_requests_that_are_cut_off_anywhere_leave_the_pool_whole(database_url: str) -> None:
    database = await open_database(database_url, size=2)

    async def ask(number: int) -> None:
        await database.pool.fetchval(f"SELECT count(*) FROM pg_class WHERE relname <> 'n{number}'")

    try:
        for number in range(300):
            task = asyncio.create_task(ask(number))
            await asyncio.sleep(number % 30 / 10_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with database.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
                assert await connection.fetchval("SELECT 1") == 1
    finally:
        await database.close()
