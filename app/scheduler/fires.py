"""Answering fires: each time that a schedule names is stood for by exactly one sync, or told as missed.

The turn of an instance and the sync that answers it are one transaction on the locked instance, so that of many
processes one answers, and one that is killed leaves the turn to the next. A sync that answers the latest of several
fires stands for the earlier ones too: `missed_fires` counts those that passed while nothing ran, and those that were
passed over because a sync of the instance was running.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Conflict
from app.core.schedule import PassedFires, next_fire, passed_fires
from app.models import Instance, Sync
from app.notifications.notify import notify
from app.sync.requests import UNFINISHED, request_sync

log = structlog.get_logger()

# A service that runs answers a fire within seconds; one later than this came while it was down.
LATE = timedelta(seconds=15)


async def answer_fires(session: AsyncSession, at: datetime, limit: int) -> int:
    """Ask for a sync of each live instance whose turn has come, and set its next turn. Answers for how many.

    Instances that another process is answering for are left to it.
    """
    due = await session.scalars(
        select(Instance)
        .where(Instance.status == "live", Instance.next_sync_at <= at)
        .order_by(Instance.next_sync_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    instances = due.all()
    running = select(Sync.instance_id, Sync.id).where(
        Sync.instance_id.in_([instance.id for instance in instances]), Sync.status.in_(UNFINISHED)
    )
    busy = {row.instance_id: row.id for row in await session.execute(running)} if instances else {}
    for instance in instances:
        await _answer(session, instance, at, busy.get(instance.id))
    return len(instances)


async def _answer(session: AsyncSession, instance: Instance, at: datetime, running: UUID | None) -> None:
    due = instance.next_sync_at
    instance.next_sync_at = next_fire(instance.schedule, instance.id, at)
    if instance.schedule is None or due is None:
        return
    fires = passed_fires(instance.schedule, instance.id, due, at)
    if running is not None:
        instance.skipped_fires += fires.count
        log.info("due.skipped", instance_id=str(instance.id), sync_id=str(running), fires=fires.count)
        return
    try:
        async with session.begin_nested():
            sync = await request_sync(session, instance, trigger="schedule", scheduled_for=fires.latest)
    except Conflict:
        log.info("due.answered_before", instance_id=str(instance.id), fire=fires.latest.isoformat())
        return
    sync.missed_fires = instance.skipped_fires + fires.count - 1
    instance.skipped_fires = 0
    if fires.count > 1 or at - fires.latest > LATE:
        await _tell_missed(session, instance, fires)


async def _tell_missed(session: AsyncSession, instance: Instance, fires: PassedFires) -> None:
    times = f"{fires.first:%Y-%m-%d %H:%M} UTC"
    if fires.count > 1:
        times = f"{fires.count} times from {times} to {fires.latest:%Y-%m-%d %H:%M} UTC"
    await notify(
        session,
        "sync_missed",
        instance_id=instance.id,
        key=f"sync_missed:{instance.id}:{int(fires.latest.timestamp())}",
        subject=f"{instance.name}: a scheduled sync did not start in time",
        text=f"The sync was due {times}, but the service was not running. One sync stands for all of it and starts "
        "now.\n\nIf that was not planned, look why the service was down.",
    )
