"""Tokens and budgets in PostgreSQL, so that all replicas share them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from app.core.database import Connection, Database
from app.http import budget
from app.http.ports import Observed, Quota, Token
from app.vault import Vault

_FIRST_STATE = "INSERT INTO vendor_budgets (tenant, bucket, state) VALUES ($1, $2, '{}') ON CONFLICT DO NOTHING"
_STATE = "SELECT state FROM vendor_budgets WHERE tenant = $1 AND bucket = $2"
# Nobody waits for the disk: a crash of the server forgets the last fraction of a second of use, nothing else.
_SAVE_STATE = """
    WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE vendor_budgets SET state = $3, updated_at = now() FROM quick
    WHERE tenant = $1 AND bucket = $2 AND state = $4
"""


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Where tokens are kept: the table, and its column that names whose they are."""

    name: str
    owner: str


OF_CREDENTIALS = TokenTable("vendor_tokens", "credential_id")


@dataclass(frozen=True, slots=True)
class SharedTokens:
    """The one token of an owner (a credential, or a row of what `table` names) towards one audience.

    A renewal holds an advisory lock of the session, not a transaction, while the vendor is asked; the lock ends with
    the connection, so a killed process leaves nothing behind. The connection is its own, because whoever holds the
    lock needs the pool to go on.
    """

    database: Database
    vault: Vault
    owner_id: UUID
    audience: str
    table: TokenTable = OF_CREDENTIALS
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def _context(self) -> str:
        return f"{self.table.name}/{self.owner_id}/{self.audience}"

    async def current(self) -> Token | None:
        async with self.database.pool.acquire() as connection:
            return await self._read(connection)

    async def renew(self, used: Token | None, fetch: Callable[[], Awaitable[Token]]) -> Token:
        async with self.lock:
            connection = await self.database.connect()
            try:
                await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", self._context)
                kept = await self._read(connection)
                if kept is not None and (used is None or kept.value != used.value):
                    return kept
                token = await fetch()
                await self._write(connection, token)
                return token
            finally:
                await connection.close()

    async def _read(self, connection: Connection) -> Token | None:
        row = await connection.fetchrow(
            f"SELECT sealed, issued_at, expires_at FROM {self.table.name} "
            f"WHERE {self.table.owner} = $1 AND audience = $2",
            self.owner_id,
            self.audience,
        )
        if row is None:
            return None
        value = self.vault.open(row["sealed"], context=self._context).decode()
        return Token(value, row["issued_at"], row["expires_at"])

    async def _write(self, connection: Connection, token: Token) -> None:
        await connection.execute(
            f"""
            INSERT INTO {self.table.name} ({self.table.owner}, audience, sealed, issued_at, expires_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ({self.table.owner}, audience) DO UPDATE SET
                sealed = excluded.sealed, issued_at = excluded.issued_at, expires_at = excluded.expires_at
            """,
            self.owner_id,
            self.audience,
            self.vault.seal(token.value.encode(), context=self._context),
            token.issued_at,
            token.expires_at,
        )


@dataclass(frozen=True, slots=True)
class SharedBudget:
    """One vendor tenant's quotas, over all instances and replicas: the pure steps of app.http.budget, each written only
    over the state it was made from, else made again from what another has written.

    Each request asks here before it is sent: a fraction of a millisecond beside a call to a vendor. No lock is held in
    the database meanwhile, for whoever holds one while its process is busy would keep all others waiting.
    """

    database: Database
    tenant: str
    headroom_percent: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, bucket: str, quota: Quota | None) -> float:
        def step(state: budget.State) -> tuple[budget.State, float]:
            return budget.take(state, time.time(), quota, self.headroom_percent)

        return await self._change(bucket, step)

    async def observe(self, bucket: str, observed: Observed) -> None:
        await self._change(bucket, lambda state: (budget.observe(state, time.time(), observed), 0.0))

    async def block(self, bucket: str, until: datetime) -> None:
        await self._change(bucket, lambda state: (budget.block(state, until.timestamp()), 0.0))

    async def _change(self, bucket: str, step: Callable[[budget.State], tuple[budget.State, float]]) -> float:
        async with self.turn, self.database.pool.acquire() as connection:
            while True:
                stored = await connection.fetchval(_STATE, self.tenant, bucket)
                if stored is None:
                    await connection.execute(_FIRST_STATE, self.tenant, bucket)
                    continue
                before = msgspec.convert(stored, budget.State)
                after, answer = step(before)
                if after == before:
                    return answer
                tag = await connection.execute(_SAVE_STATE, self.tenant, bucket, after.as_dict(), stored)
                if tag == "UPDATE 1":
                    return answer
