"""Applications: the integrated ones, and those detected behind a sign-on provider."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.access.principal import Principal
from app.activity import applications
from app.activity.applications import SORTS, ApplicationFilter
from app.activity.days import parse_window
from app.activity.keyset import Slice, fetch_in
from app.activity.usage import application_usage
from app.api.accounts import DEFAULT_WINDOW, AccountAnswer, AccountPage, Prefix, Status, Wanted, Window, answer_accounts
from app.api.deps import AS_VIEWER, Admin, Books, Rows, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging
from app.api.resources import Body, Resource, Text, answer, require_match
from app.api.unit_of_work import Route
from app.connectors.contract import Access
from app.core.clock import now, today
from app.core.errors import InvalidInput, NotFound
from app.models import Application, CatalogEntry, History

router = APIRouter(prefix="/v1/applications", tags=["Applications"], route_class=Route)

Kind = Literal["integrated", "detected"]


class LabelAnswer(BaseModel):
    """One entry at the vendor whose seats the application holds."""

    vendor_id: str = Field(examples=["0oa1ab2cd3EF4gh5i6"])
    label: str = Field(examples=["Salesforce"])


class ApplicationAnswer(Resource):
    """A SaaS application of one instance."""

    instance_id: UUID
    kind: Kind
    vendor_id: str | None = Field(description="The vendor's id of the entry; null for the integrated application.")
    name: str = Field(examples=["Salesforce"])
    status: Status
    access: Access | None = Field(description="Who may use it at the sign-on provider.")
    catalog_id: UUID | None = Field(description="The well-known application that it is.")
    owner: str | None = Field(description="Who answers for it.", examples=["crm-team@example.com"])
    category: str | None = Field(examples=["CRM"])
    uploaded_by: str | None = Field(description="Owner of the instance that uploaded it.")
    labels: list[LabelAnswer]
    seats: int = Field(description="Accounts whose `seat` is not `none`.", examples=[42])


class ApplicationPatch(Body):
    """A merge patch: null takes a value away."""

    owner: Text | None = Field(default=None, examples=["crm-team@example.com"])
    category: Text | None = Field(default=None, examples=["CRM"])
    catalog_id: UUID | None = None


class UsageAnswer(BaseModel):
    """Seats by their use in a window: seats = used + unused + unknown."""

    window: str = Field(examples=["30d"])
    first: dt.date = Field(alias="from", examples=["2026-10-05"])
    to: dt.date = Field(examples=["2026-11-03"])
    covered_days: int = Field(examples=[30])
    covered_until: dt.datetime | None
    seats: int = Field(examples=[42])
    used: int = Field(examples=[30])
    unused: int = Field(examples=[12])
    unknown: int = Field(examples=[0])


@router.get("", operation_id="list_applications", response_model=ListOf[ApplicationAnswer], dependencies=AS_VIEWER)
async def list_applications(
    request: Request,
    fetch: Rows,
    page: Annotated[Page, Depends(paging("name"))],
    instance_id: UUID | None = None,
    kind: Kind | None = None,
    status: Status | None = None,
    owner: str | None = None,
    uploaded_by: str | None = None,
    q: Prefix = None,
) -> Response:
    """Applications, newest first."""
    wanted = ApplicationFilter(
        instance_id=instance_id, kind=kind, status=status, owner=owner, uploaded_by=uploaded_by, q=q
    )
    asked = Slice(page.limit, SORTS.get(page.sort), page.descending, page.after)
    items, last = await applications.list_applications(fetch, wanted, asked)
    total = await applications.count_applications(fetch, wanted) if page.count else None
    return list_answer(request, page, items, last=last, total=total)


@router.get("/{application_id}", operation_id="get_application", response_model=ApplicationAnswer)
async def get_application(request: Request, _caller: Viewer, fetch: Rows, application_id: UUID) -> Response:
    """One application."""
    found = await applications.find_application(fetch, application_id)
    if found is None:
        raise _unknown()
    return answer(request, found)


@router.patch("/{application_id}", operation_id="update_application", response_model=ApplicationAnswer)
async def update_application(
    request: Request, caller: Admin, session: Session, application_id: UUID, body: ApplicationPatch
) -> Response:
    """Say who answers for an application, its category, and which well-known application it is."""
    application = await session.get(Application, application_id, with_for_update=True)
    before = await applications.find_application(fetch_in(session), application_id)
    if application is None or before is None:
        raise _unknown()
    require_match(request, before)
    await _change(session, application, body, caller)
    after = await applications.find_application(fetch_in(session), application_id) or before
    audit(
        session,
        caller,
        request,
        "application.updated",
        "application",
        application.id,
        application.name,
        msgspec.json.decode(before),
        msgspec.json.decode(after),
    )
    return answer(request, after)


@router.get(
    "/{application_id}/accounts", operation_id="list_accounts_of_application", response_model=ListOf[AccountAnswer]
)
async def list_accounts_of_application(
    request: Request, _caller: Viewer, fetch: Rows, application_id: UUID, page: AccountPage, wanted: Wanted
) -> Response:
    """An application's accounts."""
    if await applications.find_application(fetch, application_id) is None:
        raise _unknown()
    return await answer_accounts(request, fetch, page, replace(wanted, application_id=application_id))


@router.get("/{application_id}/usage", operation_id="get_application_usage", response_model=UsageAnswer)
async def get_application_usage(
    request: Request, _caller: Viewer, database: Books, application_id: UUID, window: Window = DEFAULT_WINDOW
) -> Response:
    """How many seats are used, unused, or not known to be either."""
    found = await application_usage(database.pool, application_id, parse_window(window, today()))
    if found is None:
        raise _unknown()
    return answer(request, msgspec.json.encode(found))


async def _change(session: AsyncSession, application: Application, body: ApplicationPatch, caller: Principal) -> None:
    """Set what differs, with a row of history that says who did it."""
    sent = body.sent()
    if sent.get("catalog_id") is not None and await session.get(CatalogEntry, sent["catalog_id"]) is None:
        raise InvalidInput.at("#/catalog_id", "There is no catalogue entry with this id.")
    application.catalog_chosen = application.catalog_chosen or "catalog_id" in sent
    changed = {name: value for name, value in sent.items() if getattr(application, name) != value}
    if not changed:
        return
    session.add(
        History(
            kind="applications",
            object_id=application.id,
            name=application.name,
            action="updated",
            before={name: _plain(getattr(application, name)) for name in changed},
            after={name: _plain(value) for name, value in changed.items()},
            instance_id=application.instance_id,
            actor=caller.as_actor(),
        )
    )
    for name, value in changed.items():
        setattr(application, name, value)
    application.updated_at = now()
    await session.flush()


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def _unknown() -> NotFound:
    return NotFound("There is no application with this id.")
