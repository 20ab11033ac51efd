"""Connections as they come back from callers who went away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.database import Database, open_database
from app.core.faults import is_database_fault


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


@asynccontextmanager
async def between(database_url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the database over TCP that says nothing more once the event is set, and closes nothing either."""
    parts, silent = urlsplit(database_url), asyncio.Event()
    query = dict(parse_qsl(parts.query))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not silent.is_set():
                writer.write(data)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "host" in query:
            path = f"{query['host']}/.s.PGSQL.{query.get('port') or parts.port or 5432}"
            there = await asyncio.open_unix_connection(path)
        else:
            there = await asyncio.open_connection(parts.hostname, parts.port or 5432)
        await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login = parts.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(("postgresql", f"{login}@127.0.0.1:{port}", parts.path, "", "")), silent
    finally:
        server.close()


async def test_a_run_whose_connection_falls_silent_is_not_held_for_ever(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.database.RUN_S", 0.3)
    async with between(database_url) as (url, silent):
        database = await open_database(url, size=1)
        connection = await database.connect()
        its = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # nobody else tells of it
        assert its.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1

        async def one_piece_of_work() -> None:
            async with connection.transaction():
                silent.set()
                await connection.execute("SELECT 1")

        (broken,) = await asyncio.wait_for(asyncio.gather(one_piece_of_work(), return_exceptions=True), 20)
        assert isinstance(broken, Exception)
        assert is_database_fault(broken)
        await asyncio.wait_for(connection.close(timeout=1), 20)
        database.pool.terminate()
