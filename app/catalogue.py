"""The software catalogue: well-known applications, to which the applications of all instances are tied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.core.errors import Conflict, FieldError, NotFound
from app.core.ids import new_id
from app.models import CatalogEntry


async def create(session: AsyncSession, sent: Mapping[str, Any]) -> CatalogEntry:
    """Keep a new entry. Raises Conflict for a key in use."""
    entry = CatalogEntry(id=new_id(), created_at=now(), updated_at=now(), **sent)
    await _require_free_key(session, entry.id, sent["key"])
    session.add(entry)
    await session.flush()
    return entry


async def get(session: AsyncSession, entry_id: UUID, *, lock: bool = False) -> CatalogEntry:
    """One entry; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    entry = await session.get(CatalogEntry, entry_id, with_for_update=lock)
    if entry is None:
        raise NotFound("There is no catalogue entry with this id.")
    return entry


async def change(session: AsyncSession, entry: CatalogEntry, sent: Mapping[str, Any]) -> None:
    """Apply a merge patch; applications are tied anew at their next sync. Raises Conflict for a key in use."""
    if "key" in sent:
        await _require_free_key(session, entry.id, sent["key"])
    for name, value in sent.items():
        setattr(entry, name, value)
    entry.updated_at = now()
    await session.flush()


async def remove(session: AsyncSession, entry: CatalogEntry) -> None:
    """Remove an entry; applications that were tied to it are tied to none."""
    await session.delete(entry)
    await session.flush()


async def _require_free_key(session: AsyncSession, entry_id: UUID, key: str) -> None:
    taken = select(CatalogEntry.id).where(CatalogEntry.key == key, CatalogEntry.id != entry_id)
    with session.no_autoflush:
        if await session.scalar(taken) is not None:
            raise Conflict(
                "Another catalogue entry has this key; choose another.", errors=[FieldError("In use.", "#/key")]
            )
