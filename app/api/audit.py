"""Who changed what, when, from where."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from app.api.deps import Admin, Session
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.resources import Moment
from app.api.unit_of_work import Route
from app.models import AuditEvent

router = APIRouter(prefix="/v1/audit-events", tags=["Audit"], route_class=Route)


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


@router.get("", operation_id="list_audit_events", response_model=ListOf[AuditAnswer])
async def list_audit_events(
    request: Request,
    _caller: Admin,
    session: Session,
    page: Annotated[Page, Depends(paging())],
    action: Annotated[str | None, Query(examples=["credential.created"])] = None,
    resource_id: Annotated[str | None, Query(description="Id of what was changed.")] = None,
    actor_id: Annotated[str | None, Query(description="Id of who changed it.")] = None,
    since: Annotated[Moment | None, Query(description="Only changes at or after this time.")] = None,
) -> Response:
    """Changes, newest first."""
    statement = select(AuditEvent)
    if action is not None:
        statement = statement.where(AuditEvent.action == action)
    if resource_id is not None:
        statement = statement.where(AuditEvent.resource_id == resource_id)
    if actor_id is not None:
        statement = statement.where(AuditEvent.actor["id"].astext == actor_id)
    if since is not None:
        statement = statement.where(AuditEvent.at >= since)
    found = await select_page(session, statement, page, identity=AuditEvent.id)
    return list_answer(request, page, [shown(event) for event in found.items], last=found.last, total=found.total)
