"""What only one request at a time may do, over all replicas, however many transactions it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.core.database import Database
from app.core.faults import is_database_fault

CLOSE_S = 1.0


@dataclass(slots=True)
class Turns:
    """Advisory locks of PostgreSQL on one connection of the process's own, which ends with the process.

    A lock of the transaction that a request works in would end with it, which may be long before a vendor has answered.
    """

    database: Database
    _connection: asyncpg.Connection[Any] | None = None
    _taken: set[int] = field(default_factory=set)
    _speaking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def taken(self, number: int) -> AsyncIterator[bool]:
        """Whether the turn is ours for the time of the block: it is not while anybody has it, here or elsewhere."""
        if number in self._taken:
            yield False
            return
        self._taken.add(number)
        try:
            connection = await self._lock(number)
            try:
                yield connection is not None
            finally:
                if connection is not None:
                    await self._unlock(connection, number)
        finally:
            self._taken.discard(number)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=CLOSE_S)

    async def _lock(self, number: int) -> asyncpg.Connection[Any] | None:
        async with self._speaking:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self.database.connect()
            connection = self._connection
            try:
                ours = await connection.fetchval("SELECT pg_try_advisory_lock($1)", number)
            except BaseException:
                connection.terminate()  # whether it is locked is not known: with the connection it is not
                raise
        return connection if ours else None

    async def _unlock(self, connection: asyncpg.Connection[Any], number: int) -> None:
        try:
            async with self._speaking:
                await connection.execute("SELECT pg_advisory_unlock($1)", number)
        except BaseException as error:
            connection.terminate()
            if not is_database_fault(error):
                raise
