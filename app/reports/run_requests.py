"""Asking for an answer to a report."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.core.queue import enqueue
from app.models import Report, ReportRun
from app.sync.runtime import Runtime

REPORT_JOB = "report"
UNFINISHED = ("queued", "running")
_KEPT = ("name", "dataset", "columns", "window", "filters", "sort", "outputs")
_BATCH = 100


async def request_run(
    session: AsyncSession,
    report: Report,
    *,
    trigger: Literal["manual", "schedule"],
    scheduled_for: datetime | None = None,
) -> ReportRun | None:
    """Ask for a run of the report as it is now. None where its fire was answered before."""
    run_id: UUID | None = await session.scalar(
        insert(ReportRun)
        .values(
            report_id=report.id,
            trigger=trigger,
            scheduled_for=scheduled_for,
            definition={name: getattr(report, name) for name in _KEPT},
        )
        .on_conflict_do_nothing(index_elements=[ReportRun.report_id, ReportRun.scheduled_for])
        .returning(ReportRun.id)
    )
    if run_id is None:
        return None
    await enqueue(session, REPORT_JOB, _payload(run_id), key=_job_key(run_id))
    return await session.get_one(ReportRun, run_id)


async def get_run(session: AsyncSession, run_id: UUID) -> ReportRun:
    """Raises NotFound."""
    run = await session.get(ReportRun, run_id)
    if run is None:
        raise NotFound("There is no report run with this id.")
    return run


async def adopt_runs(runtime: Runtime) -> None:
    """Give every unfinished run a job that nobody works on and whose lease is over."""
    grace = timedelta(seconds=runtime.settings.lease_s)
    waiting = ReportRun.lease_until.is_(None) & (ReportRun.updated_at < func.now() - grace)
    async with runtime.database.session() as session:
        abandoned = await session.scalars(
            select(ReportRun.id)
            .where(ReportRun.status.in_(UNFINISHED), (ReportRun.lease_until < func.now()) | waiting)
            .order_by(ReportRun.id)
            .limit(_BATCH)
        )
        for run_id in abandoned.all():
            await enqueue(session, REPORT_JOB, _payload(run_id), key=_job_key(run_id))


def _payload(run_id: UUID) -> dict[str, Any]:
    return {"run_id": str(run_id)}


def _job_key(run_id: UUID) -> str:
    return f"report:{run_id}"
