"""A PostgreSQL of the benchmarks' own, in a temporary folder, and databases with the service's schema."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.core import embedded
from app.core.database import open_database
from app.core.schema import migrate

_TEMPLATE = "seatwise_empty"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `folder` is removed with it."""

    address: str
    folder: Path

    def url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{name}"))

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.address)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[str]:
        """The URL of a new database with the service's schema and nothing in it, dropped at the end."""
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        try:
            yield self.url(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    """An embedded server with its default settings (`fsync` on) for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="seatwise-bench-") as name:
        folder = Path(name)
        _open(folder)
        started = await asyncio.to_thread(embedded.start, folder / "data")
        try:
            server = Server(started.url, folder)
            await server.execute(f"CREATE DATABASE {_TEMPLATE}")
            database = await open_database(server.url(_TEMPLATE), size=2)
            await migrate(database)
            await database.close()
            yield server
        finally:
            await asyncio.to_thread(started.stop)


def _open(folder: Path) -> None:
    """Started by root, the server runs as another user, who has to reach the folder."""
    folder.chmod(0o755)
