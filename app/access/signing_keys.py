"""Keys that sign what the service issues, one list of versions for each purpose: made when first needed, sealed, shared
by all replicas through the table `signing_keys`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.access.principal import SYSTEM
from app.core import locks
from app.core.database import Database
from app.models import SigningKey
from app.vault import Vault


@dataclass(slots=True)
class SigningKeys:
    """The keys of one purpose. Remembers the newest, which stands until another is made.

    make   a new key's bytes.
    """

    database: Database
    vault: Vault
    purpose: str
    make: Callable[[], bytes] = field(repr=False)
    _newest: bytes | None = field(default=None, repr=False)

    async def newest(self) -> bytes:
        """The key to sign with, made under a lock where there is none yet."""
        if self._newest is None:
            async with self.database.session() as session:
                self._newest = await self._load(session)
        return self._newest

    async def all(self) -> list[bytes]:
        """Every key of the purpose, newest first: what was signed with an older one is still verified."""
        return await self._known() or [await self.newest()]

    async def renew(self) -> None:
        """Make a new key and sign with it from now on; other processes do from their next start."""
        async with self.database.session() as session:
            await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.SIGNING_KEYS})
            newest = await session.scalar(self._rows().limit(1))
            self._newest = self._add(session, newest.version + 1 if newest else 1)
            audit(session, SYSTEM, None, "signing_key.rotated", "signing_key", None, self.purpose)

    async def _known(self) -> list[bytes]:
        async with self.database.session() as session:
            return [self._open(row) for row in await session.scalars(self._rows())]

    def _rows(self) -> Select[SigningKey]:
        return select(SigningKey).where(SigningKey.purpose == self.purpose).order_by(SigningKey.version.desc())

    async def _load(self, session: AsyncSession) -> bytes:
        row = await session.scalar(self._rows().limit(1))
        if row is None:
            await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.SIGNING_KEYS})
            row = await session.scalar(self._rows().limit(1))
        return self._add(session, 1) if row is None else self._open(row)

    def _add(self, session: AsyncSession, version: int) -> bytes:
        key = self.make()
        sealed = self.vault.seal(key, context=self._context(version))
        session.add(SigningKey(purpose=self.purpose, version=version, sealed=sealed))
        return key

    def _open(self, row: SigningKey) -> bytes:
        return self.vault.open(row.sealed, context=self._context(row.version))

    def _context(self, version: int) -> str:
        return f"signing_keys/{self.purpose}/{version}"
