"""Report runs: the answer to a report at one time, and its rows, a page or a whole file at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.activity.keyset import fetch_in
from app.api.deps import Books, Operator, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Resource, answer
from app.api.unit_of_work import Route
from app.core.errors import BadCursor, InvalidInput
from app.models import ReportRun
from app.reports import saved
from app.reports.files import MEDIA_TYPES, File, Format, file_of, require_rows, rows_between
from app.reports.outputs import outputs_of
from app.reports.run_requests import get_run, request_run

router = APIRouter(prefix="/v1", tags=["Reports"], route_class=Route)

RunStatus = Literal["queued", "running", "succeeded", "failed"]
_PAGING = ("limit", "cursor", "count", "sort")


class Dates(BaseModel):
    """A window as dates, both included."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: dt.date = Field(alias="from", examples=["2026-10-24"])
    to: dt.date = Field(examples=["2026-11-22"])


class RunFailure(BaseModel):
    """Why a run failed."""

    code: Literal["invalid_definition", "internal"]
    detail: str = Field(examples=["There is no column 'fields.cost_centre' any more; change the report."])


class OutputAnswer(BaseModel):
    """What became of one output. One that fails stops no other, and does not make the run fail."""

    type: Literal["webhook", "email"]
    webhook_id: UUID | None = Field(default=None, description="Of a webhook.")
    to: list[str] | None = Field(default=None, description="Of an e-mail.", examples=[["it-ops@example.com"]])
    status: Literal["pending", "delivered", "recorded", "failed", "unknown"] = Field(
        description="`recorded`: a mail that is not sent, for no mail server is set. `unknown`: no longer kept."
    )
    detail: str | None = Field(description="Why it is not delivered.")


class RunAnswer(Resource):
    """The answer to a report at one time. Once it has succeeded its rows never change, unless a person is erased."""

    report_id: UUID
    status: RunStatus
    trigger: Literal["manual", "schedule"]
    scheduled_for: dt.datetime | None = Field(description="The fire of the schedule that it answers.")
    as_of: dt.datetime | None = Field(description="When the books were asked; null until they were.")
    window: Dates | None
    columns: list[str] = Field(description="Keys of the rows, in order.", examples=[["name", "days_active"]])
    total_rows: int | None = Field(examples=[296])
    digest: str | None = Field(description="SHA-256 of the rows as NDJSON.", examples=["sha256:9f86d081884c7d65"])
    covered_until: dt.datetime | None = Field(description="Time of the latest complete read of activity.")
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    erased_at: dt.datetime | None = Field(
        description="When a person was last taken out of its rows, which gave it another digest."
    )
    failure: RunFailure | None
    outputs: list[OutputAnswer]


async def shown(session: AsyncSession, runs: Sequence[ReportRun]) -> list[RunAnswer]:
    outputs = await outputs_of(fetch_in(session), runs)
    names = RunAnswer.model_fields.keys() - {"outputs"}
    return [
        RunAnswer.model_validate({**{name: getattr(run, name) for name in names}, "outputs": outputs[run.id]})
        for run in runs
    ]


def streamed(request: Request, file: File) -> Response:
    """A file, or 304 where If-None-Match names its rows."""
    headers = {"ETag": file.etag, "Cache-Control": "private"}
    named = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.etag in named or named == ["*"]:
        return Response(status_code=304, headers=headers)
    headers |= {"Content-Disposition": file.disposition, "X-Content-Type-Options": "nosniff"}
    if file.length is not None:
        headers["Content-Length"] = str(file.length)
    return StreamingResponse(file.content, headers=headers, media_type=file.media_type)


FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows. With `format` a file of all of them, streamed.",
        "content": {
            media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for format_, media_type in MEDIA_TYPES.items()
            if format_ != "json"
        },
    },
    304: {"description": "It is still as `If-None-Match` says."},
}


@router.post("/reports/{report_id}/runs", operation_id="run_report", status_code=202, response_model=RunAnswer)
async def run_report(request: Request, caller: Operator, session: Session, report_id: UUID) -> Response:
    """Answer the report now, with its definition and outputs as they are now."""
    report = await saved.get(session, report_id)
    run = await request_run(session, report, trigger="manual")
    if run is None:
        raise RuntimeError("a run without a fire answers none twice")
    audit(
        session,
        caller,
        request,
        "report_run.created",
        "report_run",
        run.id,
        report.name,
        None,
        {"report_id": report.id},
    )
    return answer(request, (await shown(session, [run]))[0], 202, location=f"{router.prefix}/report-runs/{run.id}")


@router.get("/reports/{report_id}/runs", operation_id="list_runs_of_report", response_model=ListOf[RunAnswer])
async def list_runs_of_report(
    request: Request,
    _caller: Viewer,
    session: Session,
    report_id: UUID,
    page: Annotated[Page, Depends(paging())],
    status: RunStatus | None = None,
) -> Response:
    """The report's runs, newest first."""
    await saved.get(session, report_id)
    statement = select(ReportRun).where(ReportRun.report_id == report_id)
    if status is not None:
        statement = statement.where(ReportRun.status == status)
    found = await select_page(session, statement, page, identity=ReportRun.id)
    return list_answer(request, page, await shown(session, found.items), last=found.last, total=found.total)


@router.get("/report-runs/{run_id}", operation_id="get_report_run", response_model=RunAnswer)
async def get_report_run(request: Request, _caller: Viewer, session: Session, run_id: UUID) -> Response:
    """One run."""
    return answer(request, (await shown(session, [await get_run(session, run_id)]))[0])


@router.get(
    "/report-runs/{run_id}/rows",
    operation_id="list_rows_of_report_run",
    response_model=ListOf[dict[str, Any]] | list[dict[str, Any]],
    responses={**FILES, **problems(409)},
)
async def list_rows_of_report_run(
    request: Request,
    _caller: Viewer,
    session: Session,
    database: Books,
    run_id: UUID,
    page: Annotated[Page, Depends(paging(default="number"))],
    format: Annotated[  # noqa: A002  the parameter's name
        Format | None, Query(description="All rows as a file of this format, streamed whatever its size.")
    ] = None,
) -> Response:
    """The rows of a run, in the report's order. 409 until it has succeeded.

    Without `format` a list, a page at a time. In CSV a text that a spreadsheet would take for a formula has a `'`
    before it; the cells of XLSX are typed and never formulas.
    """
    run = await get_run(session, run_id)
    await session.close()  # one connection at a time, and none while a file is sent
    if format is None:
        return await _page(request, database, run, page)
    if given := [name for name in _PAGING if name in request.query_params]:
        raise InvalidInput.parameter(given[0], "A file has all rows; leave this out, or leave out format.")
    return streamed(request, await file_of(database.pool, run, format))


async def _page(request: Request, database: Books, run: ReportRun, page: Page) -> Response:
    require_rows(run)
    total = run.total_rows or 0
    after = None if page.after is None else _number(page.after)
    if page.descending:
        last = total - 1 if after is None else after - 1
        first = max(0, last - page.limit + 1)
        rows = (await rows_between(database.pool, run, first, last))[::-1]
        more = [first] if first > 0 else None
    else:
        first = 0 if after is None else after + 1
        last = min(total, first + page.limit) - 1
        rows = await rows_between(database.pool, run, first, last)
        more = [last] if last + 1 < total else None
    return list_answer(request, page, rows, last=more, total=total)


def _number(after: list[Any]) -> int:
    if len(after) == 1 and isinstance(after[0], int) and after[0] >= 0:
        return after[0]
    raise BadCursor("This cursor is damaged. Begin again without a cursor.")
