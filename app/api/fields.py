"""Custom fields: what mappings may fill beside the fields that every person and account has."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from sqlalchemy import select

from app import fields
from app.access.audit import audit
from app.api.deps import Admin, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Name, Resource, answer, require_match, unset
from app.api.unit_of_work import Route
from app.models import CustomField
from app.sync.field_types import FieldType

router = APIRouter(prefix="/v1/fields", tags=["Fields"], route_class=Route)

Kind = Literal["account", "person"]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", examples=["cost_center"])]
Choices = Annotated[list[Name], Field(max_length=200, examples=[["Sales", "Support"]])]


class NewField(Body):
    """A field to be made. Mappings name it `account.<key>` or `person.<key>`."""

    kind: Kind
    key: Key
    title: Name = Field(examples=["Cost centre"])
    type: FieldType
    choices: Choices = Field(default_factory=list, description="With type choice: what it may be, case-blind.")


class FieldPatch(Body):
    """A merge patch. Kind, key and type stay as they were made."""

    title: Name = Field(default_factory=unset)
    choices: Choices = Field(default_factory=unset)


class FieldAnswer(Resource):
    """One custom field."""

    kind: Kind
    key: str = Field(examples=["cost_center"])
    title: str = Field(examples=["Cost centre"])
    type: FieldType
    choices: list[str]


def shown(field: CustomField) -> FieldAnswer:
    return FieldAnswer.model_validate(field)


@router.get("", operation_id="list_fields", response_model=ListOf[FieldAnswer])
async def list_fields(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging())],
    kind: Kind | None = None,
) -> Response:
    """Custom fields, newest first."""
    statement = select(CustomField)
    if kind is not None:
        statement = statement.where(CustomField.kind == kind)
    found = await select_page(session, statement, page, identity=CustomField.id)
    return list_answer(request, page, [shown(field) for field in found.items], last=found.last, total=found.total)


@router.post("", operation_id="create_field", status_code=201, response_model=FieldAnswer, responses=problems(409))
async def create_field(request: Request, caller: Admin, session: Session, body: NewField) -> Response:
    """Make a field."""
    field = shown(await fields.create(session, body.model_dump()))
    audit(session, caller, request, "field.created", "field", field.id, field.title, None, _told(field))
    return answer(request, field, 201, location=f"{router.prefix}/{field.id}")


@router.get("/{field_id}", operation_id="get_field", response_model=FieldAnswer)
async def get_field(request: Request, _caller: Viewer, session: Session, field_id: UUID) -> Response:
    """One custom field."""
    return answer(request, shown(await fields.get(session, field_id)))


@router.patch("/{field_id}", operation_id="update_field", response_model=FieldAnswer)
async def update_field(request: Request, caller: Admin, session: Session, field_id: UUID, body: FieldPatch) -> Response:
    """Change a field's title or choices by a JSON merge patch."""
    field = await fields.get(session, field_id, lock=True)
    before = shown(field)
    require_match(request, before)
    await fields.change(session, field, body.sent())
    after = shown(field)
    audit(session, caller, request, "field.updated", "field", field.id, field.title, _told(before), _told(after))
    return answer(request, after)


@router.delete(
    "/{field_id}", operation_id="delete_field", status_code=204, response_class=Response, responses=problems(409)
)
async def delete_field(request: Request, caller: Admin, session: Session, field_id: UUID) -> Response:
    """Delete a field that no mapping fills; 409 with the `instances` whose mapping does."""
    field = await fields.get(session, field_id, lock=True)
    before = shown(field)
    require_match(request, before)
    await fields.remove(session, field)
    audit(session, caller, request, "field.deleted", "field", before.id, before.title, _told(before), None)
    return Response(status_code=204)


def _told(field: FieldAnswer) -> dict[str, object]:
    """For the audit, which masks whatever is called `key`."""
    told = field.model_dump()
    return {**told, "target": f"{field.kind}.{told.pop('key')}"}
