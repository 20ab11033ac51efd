"""Who changed what, when, from where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import Select, select

from app.api.deps import Admin, Books, Session
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.resources import Moment, as_json
from app.api.unit_of_work import Route
from app.core.database import Database
from app.models import AuditEvent

router = APIRouter(prefix="/v1/audit-events", tags=["Audit"], route_class=Route)
LINES_AT_ONCE = 500


class Actor(BaseModel):
    type: str = Field(examples=["api_key"])
    id: str | None = Field(examples=["0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77"])
    name: str = Field(examples=["Provisioning"])


class Subject(BaseModel):
    type: str = Field(examples=["credential"])
    id: str | None = Field(examples=["0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77"])
    name: str | None = Field(examples=["PingOne production"])


class AuditAnswer(BaseModel):
    """One change. `before` and `after` hold the members that differ, secrets masked."""

    id: UUID
    at: datetime
    actor: Actor
    action: str = Field(examples=["credential.created"])
    resource: Subject
    address: str | None = Field(examples=["192.0.2.7"])
    request_id: str | None
    before: dict[str, Any] | None = Field(examples=[None])
    after: dict[str, Any] | None = Field(examples=[{"name": "PingOne production"}])


def shown(event: AuditEvent) -> AuditAnswer:
    return AuditAnswer(
        id=event.id,
        at=event.at,
        actor=Actor.model_validate(event.actor),
        action=event.action,
        resource=Subject(type=event.resource_type, id=event.resource_id, name=event.resource_name),
        address=event.address,
        request_id=event.request_id,
        before=event.before,
        after=event.after,
    )


@router.get(
    "",
    operation_id="list_audit_events",
    response_model=ListOf[AuditAnswer],
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def list_audit_events(
    request: Request,
    _caller: Admin,
    session: Session,
    books: Books,
    page: Annotated[Page, Depends(paging())],
    action: Annotated[str | None, Query(examples=["credential.created"])] = None,
    resource_id: Annotated[str | None, Query(description="Id of what was changed.")] = None,
    actor_id: Annotated[str | None, Query(description="Id of who changed it.")] = None,
    since: Annotated[Moment | None, Query(description="Only changes at or after this time.")] = None,
    form: Annotated[
        Literal["ndjson"] | None, Query(alias="format", description="All of them, oldest first, a line each.")
    ] = None,
) -> Response:
    """Changes, newest first; with `format=ndjson` all of them as a stream, oldest first."""
    statement = select(AuditEvent)
    if action is not None:
        statement = statement.where(AuditEvent.action == action)
    if resource_id is not None:
        statement = statement.where(AuditEvent.resource_id == resource_id)
    if actor_id is not None:
        statement = statement.where(AuditEvent.actor["id"].astext == actor_id)
    if since is not None:
        statement = statement.where(AuditEvent.at >= since)
    if form is not None:
        return StreamingResponse(_lines(books, statement), media_type="application/x-ndjson")
    found = await select_page(session, statement, page, identity=AuditEvent.id)
    return list_answer(request, page, [shown(event) for event in found.items], last=found.last, total=found.total)


async def _lines(books: Database, statement: Select[AuditEvent]) -> AsyncIterator[bytes]:
    """A page after the other, each in a transaction of its own, so that a slow reader holds nothing."""
    after: UUID | None = None
    while True:
        paged = statement.order_by(AuditEvent.id).limit(LINES_AT_ONCE)
        if after is not None:
            paged = paged.where(AuditEvent.id > after)
        async with books.session() as session:
            events = (await session.scalars(paged)).all()
        yield b"".join(as_json(shown(event)) + b"\n" for event in events)
        if len(events) < LINES_AT_ONCE:
            return
        after = events[-1].id
