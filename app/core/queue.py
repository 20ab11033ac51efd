"""Enqueueing a background job in the caller's own transaction: it exists if and only if the transaction commits.

PgQueuer writes through the session's driver connection, which SQLAlchemy puts into a transaction only at the session's
first statement; a job enqueued before it would stand although the session rolled back. So the helper makes that first
statement itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import tracing
from app.core.database import Connection


async def enqueue(
    session: AsyncSession, job: str, payload: dict[str, Any], *, key: str | None = None, after_s: float = 0
) -> None:
    """Ask for `job` once the session commits. With `key`, nothing is added while such a job waits or runs.

    The job goes on in the trace that it is asked for in.
    """
    await enqueue_on(await _connection_of(session), job, payload, key=key, after_s=after_s)


async def enqueue_each(session: AsyncSession, job: str, payloads: Mapping[str, dict[str, Any]]) -> None:
    """The same for several payloads by their keys, in one statement."""
    connection = await _connection_of(session)
    await Queries.from_asyncpg_connection(connection).enqueue(  # type: ignore[arg-type]  # a pool's proxy does as well
        [job] * len(payloads),
        [msgspec.json.encode(tracing.carried(payload)) for payload in payloads.values()],
        [0] * len(payloads),
        dedupe_key=list(payloads),
        on_conflict="skip",
    )


async def _connection_of(session: AsyncSession) -> Connection:
    await session.execute(text("SELECT 1"))
    raw = await (await session.connection()).get_raw_connection()
    driver: Connection | None = raw.driver_connection
    if driver is None:
        raise RuntimeError("the session has no driver connection")
    return driver


async def enqueue_on(
    connection: Connection,
    job: str,
    payload: dict[str, Any],
    *,
    key: str | None = None,
    after_s: float = 0,
) -> None:
    """The same on an asyncpg connection; the caller has opened the transaction."""
    await Queries.from_asyncpg_connection(connection).enqueue(  # type: ignore[arg-type]  # a pool's proxy does as well
        job,
        msgspec.json.encode(tracing.carried(payload)),
        execute_after=timedelta(seconds=after_s) if after_s else None,
        dedupe_key=key,
        on_conflict="skip",
    )
