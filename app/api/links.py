"""Signed links: one file of one report run, for whoever has the link, until it expires."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.access.links import PATH, RunLinks
from app.api.deps import Books, Session
from app.api.openapi import problems
from app.api.report_runs import FILES, streamed
from app.api.unit_of_work import Route
from app.core.errors import NotAllowed
from app.reports.files import MEDIA_TYPES, Format, file_of
from app.reports.run_requests import get_run

router = APIRouter(prefix=PATH, tags=["Reports"], route_class=Route)
_FORMATS: dict[str, Format] = {format_: format_ for format_ in MEDIA_TYPES}
_ARRAY = {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}}
_FILES: dict[int | str, dict[str, Any]] = {
    **FILES,
    200: {"description": "All rows, streamed.", "content": FILES[200]["content"] | _ARRAY},
}


@router.get(
    "/{run_id}",
    operation_id="download_report_run",
    response_class=Response,
    responses={**_FILES, **problems(403, 404, 422)},
)
async def download_report_run(
    request: Request,
    session: Session,
    database: Books,
    run_id: UUID,
    format: str = "",  # noqa: A002  the parameter's name
    expires: str = "",
    signature: str = "",
) -> Response:
    """The file that a link in a mail or a message names. It asks for no key; 403 once it has expired or was altered."""
    links: RunLinks = request.app.state.run_links
    if not await links.is_good(run_id, format, expires, signature) or format not in _FORMATS:
        raise NotAllowed("This link has expired, or it is not as it was sent. Ask for the report again.")
    run = await get_run(session, run_id)
    await session.close()  # no connection is held while the file is sent
    return streamed(request, await file_of(database.pool, run, _FORMATS[format]))
