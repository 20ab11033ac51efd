"""Which labels of a sign-on provider are one application: split one off, join two."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app import detection, instances
from app.access.audit import audit
from app.activity.applications import find_application
from app.activity.keyset import fetch_in
from app.api.applications import ApplicationAnswer
from app.api.deps import Admin, Session
from app.api.openapi import problems
from app.api.resources import Body, Name, answer
from app.api.unit_of_work import Route
from app.core.errors import NotFound
from app.models import Application, Instance

router = APIRouter(prefix="/v1/instances", tags=["Instances"], route_class=Route)


class SplitBody(Body):
    """The label to split off: one of the application's `labels`."""

    application_id: UUID
    vendor_id: Annotated[str, Field(min_length=1, max_length=500, examples=["0oa1ab2cd3EF4gh5i6"])]
    name: Name | None = Field(default=None, description="Default the label.", examples=["Salesforce (EU)"])


class MergeBody(Body):
    """The application to join, and the one that stays."""

    application_id: UUID
    into: UUID


@router.post(
    "/{instance_id}/split",
    operation_id="split_application",
    status_code=201,
    response_model=ApplicationAnswer,
    responses=problems(409),
)
async def split_application(
    request: Request, caller: Admin, session: Session, instance_id: UUID, body: SplitBody
) -> Response:
    """Make an application of one label, with its accounts, days and history. Later syncs keep it so."""
    made = await detection.split(
        session, await _held(session, instance_id), body.application_id, body.vendor_id, body.name, by=caller
    )
    content = await _shown(session, made)
    told = {**msgspec.json.decode(content), "split_from": str(body.application_id)}
    audit(session, caller, request, "application.created", "application", made.id, made.name, None, told)
    return answer(request, content, 201, location=f"/v1/applications/{made.id}")


@router.post(
    "/{instance_id}/merge",
    operation_id="merge_applications",
    response_model=ApplicationAnswer,
    responses=problems(409),
)
async def merge_applications(
    request: Request, caller: Admin, session: Session, instance_id: UUID, body: MergeBody
) -> Response:
    """Join an application into another one. A user with seats in both has one account, whose days are the union."""
    origin = await session.get(Application, body.application_id)
    name = origin.name if origin is not None else None
    into = await detection.merge(session, await _held(session, instance_id), body.application_id, body.into, by=caller)
    joined = {"id": str(body.application_id), "name": name}
    audit(session, caller, request, "application.updated", "application", into.id, into.name, {}, {"joined": joined})
    return answer(request, await _shown(session, into))


async def _held(session: AsyncSession, instance_id: UUID) -> Instance:
    instance = await instances.get(session, instance_id, lock=True)
    instances.refuse_deleting(instance)
    return instance


async def _shown(session: AsyncSession, application: Application) -> bytes:
    found = await find_application(fetch_in(session), application.id)
    if found is None:
        raise NotFound("There is no application with this id.")
    return found
