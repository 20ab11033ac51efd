"""What is due: enqueued here, never worked here. Any number of processes may ask at the same time."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy import Uuid, delete, exists, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit_store import make_months
from app.access.rates import forget_uses
from app.certifications.source_accounts import adopt_sources
from app.core.clock import database_now
from app.core.queue import enqueue
from app.erasure.requests import adopt_erasures
from app.models import IdempotencyRecord, Instance, Sync, Tick
from app.plans import adopt_plans
from app.reports.fires import start_due_reports
from app.reports.retention import forget_runs
from app.reports.run_requests import adopt_runs
from app.scheduler.fires import LATE, answer_fires
from app.scheduler.retention import forget_old
from app.sync.removal import REMOVAL_JOB, removal_key
from app.sync.requests import SYNC_JOB, UNFINISHED, job_key
from app.sync.runtime import Runtime

log = structlog.get_logger()

Step = Callable[[Runtime], Awaitable[None]]

BATCH = 100
# Answered in one transaction, so that the first of many due at one moment start soon, and processes share them.
FIRES = 100
# A tick with much to do says again that it is alive, well within the silence that stands for an outage.
SAID_AGAIN_S = 5.0
KEPT_ANSWERS = timedelta(hours=24)
FORGOTTEN_TICKS = timedelta(hours=1)
# Longer than anybody looks for what became of a job; the queue itself never forgets.
FORGOTTEN_JOBS = timedelta(hours=24)


async def tick(runtime: Runtime) -> None:
    """Say that this process is alive, and take each step; one that fails keeps no other from its turn.

    After an outage that is said once the first step is taken: by the silence until then its fires are known as missed.
    """
    said_at = time.monotonic() if await _say_alive(runtime, after_silence=False) else -math.inf
    for step in STEPS:
        try:
            await step(runtime)
        except Exception as error:  # noqa: BLE001  whatever it was, the next step and the next tick come
            log.warning("tick.failed", step=step.__name__, error=type(error).__name__, detail=str(error)[:200])
        if time.monotonic() - said_at > SAID_AGAIN_S:
            await _say_alive(runtime, after_silence=True)
            said_at = time.monotonic()


async def start_due_syncs(runtime: Runtime) -> None:
    """Answer each fire that has come, batch by batch, in transactions of their own."""
    while True:
        async with runtime.database.session() as session:
            if await answer_fires(session, await database_now(session), FIRES) < FIRES:
                return
        await _say_alive(runtime, after_silence=False)


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
        .order_by(Sync.lease_until.nulls_last(), Sync.updated_at)
        .limit(BATCH)
    )
    for sync_id in abandoned.all():
        await enqueue(session, SYNC_JOB, {"sync_id": str(sync_id)}, key=job_key(sync_id))


async def adopt_syncs(runtime: Runtime) -> None:
    async with runtime.database.session() as session:
        await adopt_orphans(session, runtime.settings.lease_s)


async def adopt_removals(runtime: Runtime) -> None:
    """Give every removal that is not at its end a job, unless it has one."""
    async with runtime.database.session() as session:
        leaving = await session.scalars(select(Instance.id).where(Instance.leaving).limit(BATCH))
        for instance_id in leaving.all():
            await enqueue(session, REMOVAL_JOB, {"instance_id": str(instance_id)}, key=removal_key(instance_id))


# What each tick does, in this order.
STEPS: tuple[Step, ...] = (
    start_due_syncs,
    start_due_reports,
    adopt_syncs,
    adopt_removals,
    adopt_plans,
    adopt_runs,
    adopt_sources,
    adopt_erasures,
)


async def tidy(runtime: Runtime) -> None:
    """Remove what has served its time: kept answers of POSTs, ticks of processes that are gone, the queue's log, counts
    of minutes that are over, and whatever SEATWISE_RETENTION_DAYS ends.
    """
    await make_months(runtime.database)
    await forget_uses(runtime.database)
    await forget_runs(runtime)
    async with runtime.database.session() as session:
        await session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < func.now() - KEPT_ANSWERS))
        await session.execute(delete(Tick).where(Tick.at < func.now() - FORGOTTEN_TICKS))
        await session.execute(
            text("DELETE FROM pgqueuer_log WHERE created < now() - CAST(:age AS interval)"), {"age": FORGOTTEN_JOBS}
        )
    await forget_old(runtime)


async def _say_alive(runtime: Runtime, *, after_silence: bool) -> bool:
    """Whether it was said; with `after_silence` also when no process has said so lately."""
    heard = select(literal(runtime.process_id, Uuid))
    if not after_silence:
        heard = heard.where(exists().where(Tick.at > func.now() - LATE))
    async with runtime.database.session() as session:
        said = await session.scalar(
            insert(Tick)
            .from_select(["process"], heard)
            .on_conflict_do_update(index_elements=[Tick.process], set_={"at": func.now()})
            .returning(Tick.process)
        )
    return said is not None
