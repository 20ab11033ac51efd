"""Trying a mapping on the vendor's own records."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app import credentials, instances
from app.activity.keyset import fetch_in
from app.api.deps import Operator, Runtime, Session
from app.api.instance_bodies import MappingRowBody
from app.api.openapi import problems
from app.api.resources import Body, answer
from app.api.unit_of_work import Route
from app.connectors import registry
from app.core.errors import Conflict, FieldError, InvalidInput
from app.sync.custom_fields import converters
from app.sync.mapping import UserMapping
from app.sync.mapping_rules import mapping_errors
from app.sync.preview import preview

router = APIRouter(prefix="/v1/instances", tags=["Instances"], route_class=Route)


class MappingPreviewBody(Body):
    """A mapping to try, or none for the saved one."""

    items: Annotated[list[MappingRowBody], Field(max_length=200)] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=50)] = Field(default=5, description="How many records.")


class ValueProblem(BaseModel):
    """Why a value, or the whole record, cannot be used."""

    vendor_id: str | None
    code: str = Field(examples=["bad_value"])
    detail: str = Field(examples=["locality cannot fill account.floor: the value is not a number."])


class PreviewedRecord(BaseModel):
    """One of the vendor's records, and what the mapping makes of it."""

    vendor_id: str
    raw: Any = Field(description="The record as the vendor gives it.")
    account: dict[str, Any]
    person: dict[str, Any]
    errors: list[ValueProblem]


class MappingPreviewAnswer(BaseModel):
    """The first records that the vendor lists, mapped."""

    items: list[PreviewedRecord]


@router.post(
    "/{instance_id}/mapping/preview",
    operation_id="preview_mapping",
    response_model=MappingPreviewAnswer,
    responses=problems(409, 502),
)
async def preview_mapping(
    request: Request, _caller: Operator, session: Session, runtime: Runtime, instance_id: UUID, body: MappingPreviewBody
) -> Response:
    """Map the first records that the vendor lists; nothing is stored."""
    instance = await instances.get(session, instance_id)
    instances.refuse_deleting(instance)
    types = await converters(fetch_in(session))
    rows = instance.mapping if body.items is None else [row.model_dump() for row in body.items]
    fields = [field.name for field in registry.manifest(instance.connector).fields]
    if errors := mapping_errors(rows, fields, types):
        raise InvalidInput(errors)
    if instance.credential_id is None:
        missing = [FieldError("Choose a credential.", pointer="#/credential_id")]
        raise Conflict("This instance has no credential to ask the vendor with.", errors=missing)
    credential = await credentials.get(session, instance.credential_id)
    await session.commit()  # the vendor is called with no transaction open
    mapping = UserMapping(rows, instance.sync["username_format"], types)
    return answer(request, {"items": await preview(runtime, credential, instance.options, mapping, body.limit)})
