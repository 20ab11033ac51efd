"""Which errors say that the database, and not what was asked of it, is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Classes of SQLSTATE: no connection, nobody let in, no such database for now, gave way to another transaction, short of
# something, stopping.
_CLASSES = {"08", "28", "3D", "40", "53", "57"}


@contextmanager
def passing_over_database_faults() -> Iterator[None]:
    """A block that ends early, and without a word, where the database is at fault."""
    try:
        yield
    except Exception as error:
        if not is_database_fault(error):
            raise


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error, or of what it wraps; empty where there is none."""
    seen: BaseException | None = error
    while seen is not None:
        state = getattr(seen, "sqlstate", None)
        if isinstance(state, str):
            return state
        seen = getattr(seen, "orig", None) or seen.__cause__
    return ""


def is_database_fault(error: BaseException) -> bool:
    """Whether nobody answers at the database, it is stopping, is short of something, or broke off what we did: the
    same may be tried again.

    An OSError of a socket names no file, one of our own files does.
    """
    if isinstance(error, OSError):
        return error.filename is None
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return True
    cause = getattr(error, "orig", None) or error
    # What the driver says of a connection on which it finds the server's good-bye as it begins to use it.
    if isinstance(cause, asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, asyncpg.DataError):
        return "clos" in str(error)
    return sqlstate(error)[:2] in _CLASSES
