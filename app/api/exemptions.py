"""Licence exemptions: seats that are not to be taken back, whatever their use."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field

from app.access.audit import MASK, audit
from app.api.accounts import Day
from app.api.deps import Admin, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Creator, Resource, Text, answer, require_match
from app.api.unit_of_work import Route
from app.licences import exemptions
from app.models import Account, LicenceExemption

router = APIRouter(prefix="/v1/licence-exemptions", tags=["Licences"], route_class=Route)


class NewExemption(Body):
    """A seat to be spared."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "account_id": "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77",
                    "reason": "On parental leave",
                    "until": "2030-03-31",
                }
            ]
        }
    )

    account_id: UUID
    reason: Text = Field(examples=["On parental leave"])
    until: Day | None = Field(default=None, description="The last date of it; null for good.", examples=["2030-03-31"])


class ExemptionAnswer(Resource):
    """A seat that is spared."""

    account_id: UUID
    reason: str = Field(examples=["On parental leave"])
    until: dt.date | None = Field(description="The last date of it; null for good.", examples=["2030-03-31"])
    created_by: Creator


def shown(exemption: LicenceExemption) -> ExemptionAnswer:
    return ExemptionAnswer.model_validate(exemption)


def _told(exemption: ExemptionAnswer) -> dict[str, Any]:
    """As the audit has it, which is never altered: without the reason, which may name the person."""
    return {**exemption.model_dump(), "reason": MASK}


@router.get("", operation_id="list_licence_exemptions", response_model=ListOf[ExemptionAnswer])
async def list_licence_exemptions(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging())],
    account_id: UUID | None = None,
    application_id: UUID | None = None,
) -> Response:
    """Exemptions, newest first; those that have ended stay until the account gets another."""
    statement = exemptions.known()
    if account_id is not None:
        statement = statement.where(LicenceExemption.account_id == account_id)
    if application_id is not None:
        statement = statement.where(Account.application_id == application_id)
    found = await select_page(session, statement, page, identity=LicenceExemption.id)
    return list_answer(request, page, [shown(each) for each in found.items], last=found.last, total=found.total)


@router.post(
    "",
    operation_id="create_licence_exemption",
    status_code=201,
    response_model=ExemptionAnswer,
    responses=problems(409),
)
async def create_licence_exemption(request: Request, caller: Admin, session: Session, body: NewExemption) -> Response:
    """Spare a seat; 409 with `exemption_id` where it is spared already."""
    made = shown(await exemptions.create(session, body.model_dump(), by=caller))
    audit(session, caller, request, "exemption.created", "exemption", made.id, None, None, _told(made))
    return answer(request, made, 201, location=f"{router.prefix}/{made.id}")


@router.get("/{exemption_id}", operation_id="get_licence_exemption", response_model=ExemptionAnswer)
async def get_licence_exemption(request: Request, _caller: Viewer, session: Session, exemption_id: UUID) -> Response:
    """One exemption."""
    return answer(request, shown(await exemptions.get(session, exemption_id)))


@router.delete("/{exemption_id}", operation_id="delete_licence_exemption", status_code=204, response_class=Response)
async def delete_licence_exemption(request: Request, caller: Admin, session: Session, exemption_id: UUID) -> Response:
    """Spare the seat no longer."""
    exemption = await exemptions.get(session, exemption_id, lock=True)
    before = shown(exemption)
    require_match(request, before)
    await exemptions.remove(session, exemption)
    audit(session, caller, request, "exemption.deleted", "exemption", before.id, None, _told(before))
    return Response(status_code=204)
