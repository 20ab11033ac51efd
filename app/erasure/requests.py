"""Asking for an erasure, and how far one is. Whoever dies on the way, the next process goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.core.queue import enqueue
from app.models import Erasure, Person
from app.sync.runtime import Runtime
from app.vault import Vault

ERASURE_JOB = "erasure"
_BATCH = 100


@dataclass(frozen=True, slots=True)
class ErasureState:
    """How far an erasure is.

    erased_at    when the books forgot the person.
    finished_at  when everything else had.
    """

    person_id: UUID
    status: Literal["erasing", "erased"]
    asked_at: datetime
    erased_at: datetime | None
    finished_at: datetime | None


def sealing_context(person_id: UUID) -> str:
    return f"erasures/{person_id}"


async def ask_erasure(session: AsyncSession, vault: Vault, person_id: UUID) -> ErasureState:
    """Ask for everything that names the person to be taken out; anew where that was done before. Raises NotFound."""
    if await session.get(Person, person_id, with_for_update={"key_share": True}) is None:
        raise NotFound("There is no person with this id.")
    nothing = vault.seal(b"", context=sealing_context(person_id))
    await session.execute(
        insert(Erasure)
        .values(person_id=person_id, sealed=nothing)
        .on_conflict_do_update(
            index_elements=[Erasure.person_id],
            set_={"asked_at": func.now(), "erased_at": None, "finished_at": None},
        )
    )
    await _enqueue(session, person_id)
    return await erasure_of(session, person_id)


async def erasure_of(session: AsyncSession, person_id: UUID) -> ErasureState:
    """Raises NotFound where none was asked for."""
    found = await session.get(Erasure, person_id, populate_existing=True)
    if found is None:
        raise NotFound("Nobody has asked for this person to be erased.")
    status: Literal["erasing", "erased"] = "erasing" if found.finished_at is None else "erased"
    return ErasureState(person_id, status, found.asked_at, found.erased_at, found.finished_at)


async def adopt_erasures(runtime: Runtime) -> None:
    """Give every erasure that is not at its end a job, unless it has one."""
    async with runtime.database.session() as session:
        unfinished = await session.scalars(
            select(Erasure.person_id).where(Erasure.finished_at.is_(None)).order_by(Erasure.asked_at).limit(_BATCH)
        )
        for person_id in unfinished.all():
            await _enqueue(session, person_id)


async def _enqueue(session: AsyncSession, person_id: UUID) -> None:
    await enqueue(session, ERASURE_JOB, {"person_id": str(person_id)}, key=f"erasure:{person_id}")
