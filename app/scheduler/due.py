"""What is due: enqueued here, never worked here. Any number of processes may ask at the same time."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.core.errors import Conflict
from app.core.queue import enqueue
from app.models import IdempotencyRecord, Instance, Sync, Tick
from app.sync.requests import SYNC_JOB, UNFINISHED, job_key, request_sync
from app.sync.runtime import Runtime
from app.sync.schedule import next_fire

log = structlog.get_logger()

BATCH = 100
KEPT_ANSWERS = timedelta(hours=24)
FORGOTTEN_TICKS = timedelta(hours=1)


async def tick(runtime: Runtime) -> None:
    """Say that this process is alive, then enqueue what is due."""
    await _say_alive(runtime)
    async with runtime.database.session() as session:
        await start_due_syncs(session, now())
    async with runtime.database.session() as session:
        await adopt_orphans(session, runtime.settings.lease_s)


async def start_due_syncs(session: AsyncSession, at: datetime) -> None:
    """Ask for a sync of each live instance whose turn has come, and set its next turn, in one transaction.

    A turn that comes while a sync of the instance runs is passed over.
    """
    due = await session.scalars(
        select(Instance)
        .where(Instance.status == "live", Instance.next_sync_at <= at)
        .order_by(Instance.next_sync_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for instance in due.all():
        fire = instance.next_sync_at
        instance.next_sync_at = next_fire(instance.schedule, instance.id, at) if instance.schedule else None
        try:
            async with session.begin_nested():
                await request_sync(session, instance, trigger="schedule", scheduled_for=fire)
        except Conflict as running:
            log.info("due.skipped", instance_id=str(instance.id), **running.extensions)


async def adopt_orphans(session: AsyncSession, lease_s: float) -> None:
    """Give every unfinished sync a job that nobody works on and whose lease is over, whatever became of its own.

    The job's key keeps it from being there twice.
    """
    grace = timedelta(seconds=lease_s)
    abandoned = await session.scalars(
        select(Sync.id)
        .where(
            Sync.status.in_(UNFINISHED),
            or_(Sync.lease_until < func.now(), Sync.lease_until.is_(None) & (Sync.updated_at < func.now() - grace)),
        )
        .limit(BATCH)
    )
    for sync_id in abandoned.all():
        await enqueue(session, SYNC_JOB, {"sync_id": str(sync_id)}, key=job_key(sync_id))


async def tidy(runtime: Runtime) -> None:
    """Remove what has served its time: kept answers of POSTs, ticks of processes that are gone."""
    async with runtime.database.session() as session:
        await session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < now() - KEPT_ANSWERS))
        await session.execute(delete(Tick).where(Tick.at < func.now() - FORGOTTEN_TICKS))


async def _say_alive(runtime: Runtime) -> None:
    async with runtime.database.session() as session:
        await session.execute(
            insert(Tick)
            .values(process=runtime.process_id)
            .on_conflict_do_update(index_elements=[Tick.process], set_={"at": func.now()})
        )
