"""Reports: saved questions over accounts, people and applications, and a look at what they would say."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import func, select

from app.access.audit import audit
from app.activity.keyset import fetch_in
from app.api.accounts import Prefix
from app.api.deps import Admin, Books, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.report_bodies import (
    ColumnAnswer,
    NewReport,
    ReportAnswer,
    ReportPatch,
    ReportPreviewAnswer,
    ReportPreviewBody,
)
from app.api.resources import answer, require_match
from app.api.unit_of_work import Route
from app.core.errors import BadCursor
from app.models import Report
from app.reports import saved
from app.reports.columns import Column, Dataset, catalogue_of
from app.reports.preview import preview

router = APIRouter(prefix="/v1/reports", tags=["Reports"], route_class=Route)

BY_NAME = func.lower(Report.name).collate("C")


def shown(report: Report) -> ReportAnswer:
    return ReportAnswer.model_validate(report)


@router.get("", operation_id="list_reports", response_model=ListOf[ReportAnswer])
async def list_reports(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("name"))],
    q: Prefix = None,
) -> Response:
    """Reports, newest first."""
    statement = select(Report)
    if q is not None:
        statement = statement.where(func.lower(Report.name).startswith(q.lower(), autoescape=True))
    found = await select_page(session, statement, page, identity=Report.id, sorts={"name": BY_NAME})
    return list_answer(request, page, [shown(each) for each in found.items], last=found.last, total=found.total)


@router.post("", operation_id="create_report", status_code=201, response_model=ReportAnswer, responses=problems(409))
async def create_report(request: Request, caller: Admin, session: Session, body: NewReport) -> Response:
    """Save a report. It runs on its schedule, and whenever it is asked to."""
    report = shown(await saved.create(session, body.model_dump(exclude={"schedule"}) | _schedule(body), by=caller))
    audit(session, caller, request, "report.created", "report", report.id, report.name, None, report.model_dump())
    return answer(request, report, 201, location=f"{router.prefix}/{report.id}")


@router.get("/columns", operation_id="list_report_columns", response_model=ListOf[ColumnAnswer])
async def list_report_columns(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("key", default="position"))],
    dataset: Dataset = "accounts",
) -> Response:
    """What reports over a dataset can show, filter and sort by.

    Beside those listed, `days_active`, `covered_days` and `usage` take any window from `:1d` to `:400d`, and
    `metadata.<key>` any key that a vendor gives.
    """
    catalogue = await catalogue_of(fetch_in(session), dataset)
    keys = list(catalogue.listed) if page.sort == "position" else sorted(catalogue.listed)
    if page.descending:
        keys.reverse()
    if page.after is not None:
        keys = keys[_place(keys, page.after) :]
    part = keys[: page.limit]
    last = [part[-1]] if len(keys) > len(part) else None
    items = [_column(catalogue.listed[key]) for key in part]
    return list_answer(request, page, items, last=last, total=len(catalogue.listed))


@router.post("/preview", operation_id="preview_report", response_model=ReportPreviewAnswer)
async def preview_report(request: Request, _caller: Viewer, database: Books, body: ReportPreviewBody) -> Response:
    """What a definition would say now: the first 50 rows, and how many there are. Nothing is stored."""
    definition = body.model_dump(mode="json", exclude={"name", "schedule", "outputs"})
    return answer(request, msgspec.json.encode(await preview(database.pool, definition)))


@router.get("/{report_id}", operation_id="get_report", response_model=ReportAnswer)
async def get_report(request: Request, _caller: Viewer, session: Session, report_id: UUID) -> Response:
    """One report."""
    return answer(request, shown(await saved.get(session, report_id)))


@router.patch("/{report_id}", operation_id="update_report", response_model=ReportAnswer, responses=problems(409))
async def update_report(
    request: Request, caller: Admin, session: Session, report_id: UUID, body: ReportPatch
) -> Response:
    """Change a report by a JSON merge patch. Runs that were asked for before stay as they were."""
    report = await saved.get(session, report_id, lock=True)
    before = shown(report)
    require_match(request, before)
    # Not `exclude_unset`, which would take the defaults out of what was sent, too.
    sent = body.model_dump(include=body.model_fields_set - {"schedule"}) | _schedule(body)
    await saved.change(session, report, sent)
    after = shown(report)
    told = before.model_dump(), after.model_dump()
    audit(session, caller, request, "report.updated", "report", report.id, report.name, *told)
    return answer(request, after)


@router.delete("/{report_id}", operation_id="delete_report", status_code=204, response_class=Response)
async def delete_report(request: Request, caller: Admin, session: Session, report_id: UUID) -> Response:
    """Delete a report with its runs."""
    report = await saved.get(session, report_id, lock=True)
    before = shown(report)
    require_match(request, before)
    await saved.remove(session, report)
    audit(session, caller, request, "report.deleted", "report", before.id, before.name, before.model_dump(), None)
    return Response(status_code=204)


def _schedule(body: NewReport | ReportPatch) -> dict[str, Any]:
    """The schedule, which is a merge patch of its own, where it was sent."""
    if "schedule" not in body.model_fields_set:
        return {}
    return {"schedule": None if body.schedule is None else body.schedule.sent()}


def _column(column: Column) -> ColumnAnswer:
    return ColumnAnswer(
        key=column.key, title=column.title, type=column.type, operators=list(column.operators), sortable=True
    )


def _place(keys: list[str], after: list[Any]) -> int:
    """Where the page after a key begins."""
    if after and after[0] in keys:
        return keys.index(after[0]) + 1
    raise BadCursor("This cursor is damaged. Begin again without a cursor.")
