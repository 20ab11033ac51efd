"""The driver's connection inside the caller's transaction, whichever of the two ways it was opened.

Statements for both ways take JSON as text and cast it (`$1::text::jsonb`): SQLAlchemy's connections have a codec of
their own.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Connection

Transaction = Connection | AsyncSession
"""A session, or an asyncpg connection on which the caller has opened a transaction."""


async def connection_of(transaction: Transaction) -> Connection:
    """The connection that writes in this very transaction; what the session holds back is written first."""
    if not isinstance(transaction, AsyncSession):
        return transaction
    await transaction.flush()
    # The driver is in a transaction only from the session's first statement on.
    await transaction.execute(text("SELECT 1"))
    raw = await (await transaction.connection()).get_raw_connection()
    driver: Connection | None = raw.driver_connection
    if driver is None:
        raise RuntimeError("the session has no driver connection")
    return driver
