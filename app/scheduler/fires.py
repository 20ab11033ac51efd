"""Answering fires: each time that a schedule names is stood for by exactly one sync, or told as missed.

The turn of an instance and the sync that answers it are one transaction on the locked instance, so that of many
processes one answers, and one that is killed leaves the turn to the next. A sync that answers the latest of several
fires stands for the earlier ones too: `missed_fires` counts those that passed while nothing ran, and those that were
passed over because a sync of the instance was running. Told as missed is what came while no process ticked; what a busy
one answers late is late only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.schedule import PassedFires, next_fire, passed_fires
from app.models import Instance, Sync, Tick
from app.notifications.notify import notify
from app.sync.requests import UNFINISHED, Fire, request_scheduled

log = structlog.get_logger()

# A service that runs ticks within seconds; one that has not for so long was away.
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
    turns = [(each, fires) for each in instances if (fires := _take_turn(each, at, busy.get(each.id)))]
    answered = await request_scheduled(
        session, [Fire(each, fires.latest, each.skipped_fires + fires.count - 1) for each, fires in turns]
    )
    away = bool(answered) and await _was_away(session, at)
    for instance, fires in turns:
        if instance.id not in answered:
            log.info("due.answered_before", instance_id=str(instance.id), fire=fires.latest.isoformat())
            continue
        instance.skipped_fires = 0
        if away and (fires.count > 1 or at - fires.latest > LATE):
            await _tell_missed(session, instance, fires)
    return len(instances)


def _take_turn(instance: Instance, at: datetime, running: UUID | None) -> PassedFires | None:
    """Set the instance's next turn. The fires that a sync is to be asked for now: none while one is running."""
    due = instance.next_sync_at
    instance.next_sync_at = next_fire(instance.schedule, instance.id, at)
    if instance.schedule is None or due is None:
        return None
    fires = passed_fires(instance.schedule, instance.id, due, at)
    if running is not None:
        instance.skipped_fires += fires.count
        log.info("due.skipped", instance_id=str(instance.id), sync_id=str(running), fires=fires.count)
        return None
    return fires


async def _was_away(session: AsyncSession, at: datetime) -> bool:
    """Whether no process has ticked lately, which stands until one that is back has answered what came meanwhile."""
    return await session.scalar(select(Tick.process).where(Tick.at > at - LATE).limit(1)) is None


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
        text=f"The sync was due {times}, but the service was not running, or had no database. One sync stands for all "
        "of it and starts now.\n\nIf that was not planned, look why the service was down.",
    )
