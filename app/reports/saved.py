"""The life of a report: saved, changed, deleted with its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.activity.keyset import fetch_in
from app.core.clock import database_now, now
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.schedule import next_fire, schedule_errors
from app.models import Report
from app.reports.definition import definition_errors, output_errors
from app.sync.settings import merged_schedule

_ASKED = ("dataset", "columns", "window", "filters", "sort")


async def create(session: AsyncSession, sent: Mapping[str, Any], *, by: Principal) -> Report:
    """Keep a new report. `sent` has every member of a definition, name, schedule and outputs.

    Raises InvalidInput that names each bad field, Conflict for a name in use.
    """
    at = now()
    report = Report(id=new_id(), created_by=by.as_creator(), created_at=at, updated_at=at, schedule=None)
    await _apply(session, report, sent)
    session.add(report)
    await session.flush()
    return report


async def get(session: AsyncSession, report_id: UUID, *, lock: bool = False) -> Report:
    """One report; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    report = await session.get(Report, report_id, with_for_update={"key_share": True} if lock else None)
    if report is None:
        raise NotFound("There is no report with this id.")
    return report


async def change(session: AsyncSession, report: Report, sent: Mapping[str, Any]) -> None:
    """Apply a merge patch; runs that were asked for before stay as they were. Raises InvalidInput, Conflict."""
    await _apply(session, report, sent)
    report.updated_at = now()
    await session.flush()


async def remove(session: AsyncSession, report: Report) -> None:
    """Delete a report with its runs."""
    await session.delete(report)
    await session.flush()


async def _apply(session: AsyncSession, report: Report, sent: Mapping[str, Any]) -> None:
    sent = to_jsonable_python(sent)
    if isinstance(sent.get("window"), Mapping) and isinstance(report.window, Mapping):
        sent = {**sent, "window": {**report.window, **sent["window"]}}
    schedule = merged_schedule(report.schedule, sent["schedule"]) if "schedule" in sent else report.schedule
    fetch = fetch_in(session)
    errors = schedule_errors(schedule)
    with session.no_autoflush:
        if any(name in sent for name in _ASKED):
            errors += await definition_errors(fetch, {name: _value(report, sent, name) for name in _ASKED})
        if "outputs" in sent:
            errors += await output_errors(fetch, sent["outputs"])
        if errors:
            raise InvalidInput(errors)
        await _require_free(session, report, sent.get("name"))
    for name in ("name", *_ASKED, "outputs"):
        if name in sent:
            setattr(report, name, sent[name])
    if "schedule" in sent and (schedule != report.schedule or report.next_run_at is None):
        report.schedule = schedule
        report.next_run_at = next_fire(schedule, report.id, await database_now(session))


def _value(report: Report, sent: Mapping[str, Any], name: str) -> Any:
    return sent[name] if name in sent else getattr(report, name)


async def _require_free(session: AsyncSession, report: Report, name: str | None) -> None:
    if name is None:
        return
    taken = select(Report.id).where(Report.name == name, Report.id != report.id)
    if await session.scalar(taken) is not None:
        raise Conflict(
            "There is a report with this name already; choose another.", errors=[FieldError("In use.", "#/name")]
        )
