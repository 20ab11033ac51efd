"""Answering the fires of reports: each time that a schedule names is stood for by one run at most.

A report's turn and the run that answers it are one transaction on the locked report, so that of many processes one
answers, and one that is killed leaves the turn to the next. Fires that came while the service was down are answered by
one run, for the latest of them; a fire that comes while an earlier one's run is not settled is passed over.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import database_now
from app.core.schedule import latest_fire, next_fire
from app.models import Report, ReportRun
from app.reports.run_requests import UNFINISHED, request_run
from app.sync.runtime import Runtime

log = structlog.get_logger()

# Answered in one transaction: few, so that processes share many that are due at one moment.
FIRES = 20


async def start_due_reports(runtime: Runtime) -> None:
    """Answer each fire that has come, batch by batch, in transactions of their own."""
    whole = True
    while whole:
        async with runtime.database.session() as session:
            whole = await answer_fires(session, await database_now(session), FIRES) == FIRES


async def answer_fires(session: AsyncSession, at: datetime, limit: int) -> int:
    """Ask for a run of each report whose turn has come, and set its next turn. Answers for how many.

    Reports that another process is answering for are left to it.
    """
    due = await session.scalars(
        select(Report)
        .where(Report.next_run_at <= at)
        .order_by(Report.next_run_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    reports = due.all()
    running = select(ReportRun.report_id).where(
        ReportRun.report_id.in_([report.id for report in reports]),
        ReportRun.trigger == "schedule",
        ReportRun.status.in_(UNFINISHED),
    )
    busy = set((await session.scalars(running)).all()) if reports else set()
    for report in reports:
        await _answer(session, report, at, busy=report.id in busy)
    return len(reports)


async def _answer(session: AsyncSession, report: Report, at: datetime, *, busy: bool) -> None:
    due = report.next_run_at
    report.next_run_at = next_fire(report.schedule, report.id, at)
    if report.schedule is None or due is None:
        return
    fire = latest_fire(report.schedule, report.id, due, at)
    if busy:
        log.info("due.report_skipped", report_id=str(report.id), fire=fire.isoformat())
        return
    run = await request_run(session, report, trigger="schedule", scheduled_for=fire)
    if run is None:
        log.info("due.report_answered_before", report_id=str(report.id), fire=fire.isoformat())
