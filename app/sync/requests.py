"""Asking for a sync, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.core.errors import Conflict, NotFound
from app.core.queue import enqueue, enqueue_each
from app.models import Instance, Sync
from app.sync.announce import tell_changes

SYNC_JOB = "sync"
Trigger = Literal["launch", "manual", "schedule", "reactivate", "plan"]
UNFINISHED = ("queued", "running")


def job_key(sync_id: UUID) -> str:
    return f"sync:{sync_id}"


async def request_sync(
    session: AsyncSession,
    instance: Instance,
    *,
    trigger: Trigger,
    by: dict[str, Any] | None = None,
    scheduled_for: datetime | None = None,
) -> Sync:
    """Put a sync of the instance on the books and in the queue, both or neither.

    Raises Conflict with the member `sync_id` while one is unfinished, or where a sync has answered that fire already.
    """
    sync_id = await session.scalar(
        insert(Sync)
        .values(instance_id=instance.id, trigger=trigger, created_by=by, scheduled_for=scheduled_for)
        .on_conflict_do_nothing()
        .returning(Sync.id)
    )
    if sync_id is None:
        same_fire = Sync.scheduled_for.is_not(None) & (Sync.scheduled_for == scheduled_for)
        running = await session.scalar(
            select(Sync.id).where(Sync.instance_id == instance.id, Sync.status.in_(UNFINISHED) | same_fire)
        )
        raise Conflict("A sync of this instance is running; wait for it or cancel it.", sync_id=str(running))
    instance.last_sync_id = sync_id
    await enqueue(session, SYNC_JOB, {"sync_id": str(sync_id)}, key=job_key(sync_id))
    return await session.get_one(Sync, sync_id)


@dataclass(frozen=True, slots=True)
class Fire:
    """A time that a schedule names, and how many others its sync stands for."""

    instance: Instance
    at: datetime
    missed: int


async def request_scheduled(session: AsyncSession, fires: Sequence[Fire]) -> set[UUID]:
    """Put a sync for each fire on the books and in the queue; one fire for an instance, and no effort for each.

    Answers the ids of the instances that got one. The others have one that is unfinished, or answered that fire before.
    """
    if not fires:
        return set()
    rows = [
        {"instance_id": f.instance.id, "trigger": "schedule", "scheduled_for": f.at, "missed_fires": f.missed}
        for f in fires
    ]
    made = await session.execute(
        insert(Sync).values(rows).on_conflict_do_nothing().returning(Sync.instance_id, Sync.id)
    )
    sync_ids: dict[UUID, UUID] = {row.instance_id: row.id for row in made}
    for fire in fires:
        fire.instance.last_sync_id = sync_ids.get(fire.instance.id, fire.instance.last_sync_id)
    await enqueue_each(session, SYNC_JOB, {job_key(each): {"sync_id": str(each)} for each in sync_ids.values()})
    return set(sync_ids)


async def cancel_sync(session: AsyncSession, sync_id: UUID) -> Sync:
    """Settle a sync as cancelled at once; its worker, if one lives, can write nothing from then on and stops.

    Raises NotFound, or Conflict where it is finished.
    """
    at = now()
    cancelled = await session.scalar(
        update(Sync)
        .where(Sync.id == sync_id, Sync.status.in_(UNFINISHED))
        .values(status="cancelled", finished_at=at, waiting=None, lease_until=None, fence=Sync.fence + 1, updated_at=at)
        .returning(Sync.id)
    )
    sync = await session.get(Sync, sync_id, populate_existing=True)
    if sync is None:
        raise NotFound("There is no such sync.")
    if cancelled is None:
        raise Conflict(f"This sync is finished already: {sync.status}.")
    await tell_changes(session, sync_id)
    return sync
