"""`python -m benchmarks.select_one PORT URL_VARIABLE`: the least that a server with a database can do.

/asyncpg     `select 1` on a connection of an asyncpg pool, in a bare ASGI application
/sqlalchemy  `select 1` in a SQLAlchemy session

Pools and server are set as the service sets its own.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvicorn
import uvloop
from sqlalchemy import text
from starlette.types import Receive, Scope, Send

from app.core.database import Database, open_database
from app.core.settings import Settings
from benchmarks.processes import HOST

URL_VARIABLE = "BENCHMARK_DATABASE_URL"


class SelectOne:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/sqlalchemy":
            async with self._database.sessions() as session:
                value = await session.scalar(text("SELECT 1"))
        else:
            value = await self._database.pool.fetchval("SELECT 1")
        body = b'{"value":%d}' % value
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def main() -> None:
    database = await open_database(os.environ[URL_VARIABLE], size=Settings(_env_file=None).database_pool_size)
    config = uvicorn.Config(
        SelectOne(database),
        host=HOST,
        port=int(sys.argv[1]),
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await database.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
