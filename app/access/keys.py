"""API keys: how one is made, and whom one stands for. Only the SHA-256 of a key is kept."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.access.principal import SYSTEM, Principal, Role
from app.core import locks
from app.core.clock import now
from app.core.database import Database, Record
from app.core.errors import InvalidInput
from app.core.ids import new_id
from app.core.settings import Settings
from app.models import ApiKey

PREFIX = "sw_"

VALID = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
USE_IS_NOTED = "last_used_at IS NOT NULL AND last_used_at >= now() - interval '1 minute'"
"""Conditions on `api_keys`."""

_PRINCIPAL = f"""
SELECT id, name, email, role, NOT ({USE_IS_NOTED}) AS note_use FROM api_keys WHERE {{column}} = $1 AND {VALID}
"""
_BY_HASH = _PRINCIPAL.format(column="key_hash")
_BY_ID = _PRINCIPAL.format(column="id")
_NOTE_USE = f"UPDATE api_keys SET last_used_at = now() WHERE id = $1 AND NOT ({USE_IS_NOTED})"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `secret` is the whole key, shown once."""

    row: ApiKey
    secret: str = field(repr=False)


def hash_of(key: str) -> bytes:
    return sha256(key.encode()).digest()


def create_key(
    session: AsyncSession,
    *,
    name: str,
    role: Role,
    email: str | None = None,
    expires_at: datetime | None = None,
    instance_id: UUID | None = None,
) -> NewKey:
    """Make a key: `sw_` and 32 random bytes in base64url.

    instance_id   whom a key with the role `ingest` is bound to; for that role and no other.
    Raises InvalidInput when it would have expired already, or is bound where it must not be.
    """
    if (role == "ingest") != (instance_id is not None):
        detail = "A key with the role ingest, and no other, is bound to one instance."
        raise InvalidInput.at("#/instance_id", detail)
    if expires_at is not None and expires_at <= now():
        raise InvalidInput.at("#/expires_at", "This time is past; name a later one, or null for a key without end.")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        id=new_id(),
        name=name,
        role=role,
        email=email,
        key_hash=hash_of(secret),
        expires_at=expires_at,
        instance_id=instance_id,
        last_used_at=None,
        revoked_at=None,
        created_at=now(),
        updated_at=now(),
    )
    session.add(row)
    return NewKey(row, secret)


async def principal_of_key(database: Database, key: str) -> Principal | None:
    """Whom a whole key stands for; None where it is unknown, expired or revoked."""
    return await _principal(database, await database.pool.fetchrow(_BY_HASH, hash_of(key)))


async def principal_of_id(database: Database, key_id: UUID) -> Principal | None:
    """Whom the key with this id stands for, as long as it is valid."""
    return await _principal(database, await database.pool.fetchrow(_BY_ID, key_id))


async def _principal(database: Database, row: Record | None) -> Principal | None:
    if row is None:
        return None
    if row["note_use"]:
        await database.pool.execute(_NOTE_USE, row["id"])
    return Principal("api_key", row["id"], row["name"], row["email"], row["role"])


async def ensure_first_key(database: Database, settings: Settings) -> str | None:
    """At start: the key of SEATWISE_ADMIN_KEY exists; without it, and without any key at all, one is made.

    Answers the generated key, to be shown once, else None. Processes that start together agree under a lock.
    """
    async with database.session() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.FIRST_KEY})
        if settings.admin_key is not None:
            await _ensure_known(session, settings.admin_key.get_secret_value(), settings.admin_email)
            return None
        if await session.scalar(select(ApiKey.id).limit(1)) is not None:
            return None
        return note_made(session, create_key(session, name="admin", role="admin", email=settings.admin_email)).secret


async def _ensure_known(session: AsyncSession, key: str, email: str | None) -> None:
    if await session.scalar(select(ApiKey.id).where(ApiKey.key_hash == hash_of(key))) is None:
        row = ApiKey(id=new_id(), name="admin", role="admin", email=email, key_hash=hash_of(key))
        session.add(row)
        note_made(session, NewKey(row, key))


def note_made(session: AsyncSession, made: NewKey) -> NewKey:
    """Audit a key that nobody asked for through the API: made on the host, or at the first start."""
    row = made.row
    shown = {"id": row.id, "name": row.name, "role": row.role, "email": row.email, "expires_at": row.expires_at}
    audit(session, SYSTEM, None, "api_key.created", "api_key", row.id, row.name, None, shown)
    return made
