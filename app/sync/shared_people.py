"""Who may change people: many syncs at a time, or one removal.

A sync ties vendor users to people whom other instances brought. A removal takes people away whom nobody knows any more;
between its look and its stroke no sync may tie anybody to them. Transactions that write people begin with one of these
two, before they lock any row of people, so that none waits for the other in a circle.
"""

from __future__ import annotations

from app.core import locks
from app.core.database import Connection


async def share_people(connection: Connection) -> None:
    """For the rest of the transaction no removal takes people away."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", locks.PEOPLE)


async def own_people(connection: Connection, patience_s: float) -> None:
    """For the rest of the transaction no sync ties or changes people.

    Raises asyncpg.LockNotAvailableError after `patience_s`, for those who come meanwhile wait behind this one.
    """
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", f"{int(patience_s * 1000)}ms")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", locks.PEOPLE)
