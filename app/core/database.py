"""The way to PostgreSQL: a SQLAlchemy engine for resources, an asyncpg pool for the books and the queue.

Two pools, for measured reasons: a SQLAlchemy connection costs a hot list more than its query, and COPY and binary
rows are asyncpg's own. Rules: no network call while a transaction is open, and never two connections for one piece of
work.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.core.errors import Unavailable

if TYPE_CHECKING:
    # One's own connection, or one of the pool's.
    Connection = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
    Pool = asyncpg.Pool[Any]
    Record = asyncpg.Record
else:
    Connection = Pool = Record = Any

# Parameters of libpq that steer its own client and mean nothing to the server; pasted URLs have them.
_LIBPQ_ONLY = frozenset(
    {
        "channel_binding", "connect_timeout", "fallback_application_name", "gssdelegation", "gssencmode", "keepalives",
        "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "pgbouncer", "pool_timeout",
        "replication", "require_auth", "requirepeer", "sslcompression", "sslcertmode", "sslnegotiation", "sslsni",
        "tcp_user_timeout", "connection_limit", "schema",
    }
)  # fmt: skip

_BAD_URL = (
    "SEATWISE_DATABASE_URL is none: postgresql://user:password@host:5432/database, where #, /, ?, @ and % of the "
    "password are written %23, %2F, %3F, %40 and %25."
)


def normalise_url(url: str) -> str:
    """A PostgreSQL URL in the form asyncpg takes: any scheme people paste (`postgres://`, `postgresql+asyncpg://`),
    without the parameters that only libpq's own client knows.

    Raises ValueError, which never repeats the URL or a part of it, where it is none.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ValueError(_BAD_URL) from None
    scheme = parts.scheme.split("+", 1)[0]
    if scheme not in {"postgres", "postgresql"}:
        raise ValueError("SEATWISE_DATABASE_URL must begin with postgresql://")
    known = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k.lower() not in _LIBPQ_ONLY]
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(known), ""))


REQUEST_S = 60
"""The longest that a statement of a request may take."""
RUN_S = 300
"""The longest that a statement of a run may take."""

_OVER_TCP = (socket.AF_INET, socket.AF_INET6)
# Asked after 10 s of silence and every 5 s from then on; given up when nothing comes back for 25 s.
_STILL_THERE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (
            ("TCP_KEEPIDLE", 10),
            ("TCP_KEEPINTVL", 5),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", 25_000),
        )
        if hasattr(socket, name)
    ),
]
# How times look where a statement casts them to text, whatever the server or the role has been told.
_AS_TEXT = {"timezone": "UTC", "datestyle": "ISO"}


async def _prepare(connection: asyncpg.Connection[Any]) -> None:
    """JSON columns as Python values, in binary, so that COPY takes them too. Bytes pass as ready JSON."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + (value if isinstance(value, bytes) else msgspec.json.encode(value)),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )


class _Kept(asyncpg.Connection):
    """A connection whose other end is asked now and then whether it is still there.

    A host that has died, or a firewall that has forgotten the connection, says nothing; whoever waits for an answer
    would wait for ever.
    """

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        its = transport.get_extra_info("socket")
        if its is not None and its.family in _OVER_TCP:
            for level, option, value in _STILL_THERE:
                its.setsockopt(level, option, value)


class _Unreset(_Kept):
    """A pool's connection that is given back without a round trip: nobody leaves state on one.

    What needs a session of its own (listening, temporary tables, advisory locks) uses `Database.connect`.
    """

    interrupted = False

    def note_interruption(self) -> None:
        self.interrupted = True

    def get_reset_query(self) -> str:
        # Any whole statement ends what the server may think of as begun: one that was described, and whose caller went
        # away before it was executed, leaves a transaction open that the driver knows nothing of.
        query = "SELECT 1" if self.interrupted else ""
        self.interrupted = False
        return query


class _Pool(asyncpg.Pool):
    """Tells a connection when whoever had it was interrupted."""

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  asyncpg's own
        # One that broke off is taken from its caller, and has nothing left to be told.
        note_interruption = getattr(connection, "note_interruption", None)
        if note_interruption is not None and sys.exc_info()[0] is not None:
            note_interruption()
        await super().release(connection, timeout=timeout)


@dataclass(frozen=True, slots=True)
class Database:
    """An open way to one database; make it with `open_database`."""

    url: str
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    pool: Pool

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end, or rolled back when anything is raised."""
        async with self.sessions() as session, session.begin():
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """An asyncpg connection inside one transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

    async def connect(self) -> asyncpg.Connection[Any]:
        """A connection of the caller's own, outside the pool: for listening and for long runs."""
        connection = await asyncpg.connect(self.url, command_timeout=RUN_S, connection_class=_Kept)
        await _prepare(connection)
        return connection

    async def close(self) -> None:
        await self.engine.dispose()
        await self.pool.close()


async def open_database(url: str, *, size: int = 10) -> Database:
    """Open both pools, `size` connections each at most. Raises Unavailable where nobody answers, or `url` is none."""
    try:
        dsn = normalise_url(url)
    except ValueError as error:
        raise Unavailable(str(error)) from None
    try:
        pool = await _Pool(
            dsn,
            min_size=1,
            max_size=size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            init=_prepare,
            loop=None,
            connection_class=_Unreset,
            record_class=asyncpg.Record,
            command_timeout=REQUEST_S,
            server_settings=_AS_TEXT,
        )
    except ValueError:
        # The driver's own words repeat a part of the URL: of the password, where that has characters of URLs in it.
        raise Unavailable(_BAD_URL) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise Unavailable(f"The database cannot be reached: {_why(error)}. Check SEATWISE_DATABASE_URL.") from error
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn, command_timeout=REQUEST_S, connection_class=_Kept),
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    return Database(dsn, engine, async_sessionmaker(engine, expire_on_commit=False), pool)


def _why(error: Exception) -> str:
    """In the words of the server or of the system; the driver's own may repeat the URL, with its password."""
    words = str(error) if isinstance(error, asyncpg.PostgresError) else getattr(error, "strerror", None)
    return f"{type(error).__name__}, {words.rstrip('.')}" if words else type(error).__name__
