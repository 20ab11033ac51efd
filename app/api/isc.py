"""Tenants of SailPoint Identity Security Cloud, and their sources, asked live."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.deps import Runtime, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, place_of, select_page
from app.api.openapi import problems
from app.api.resources import Resource
from app.api.unit_of_work import Route
from app.certifications import tenants
from app.certifications.environments import Environment, environment_of_source
from app.connectors.sailpoint import Source
from app.models import Credential, SourceMapping

router = APIRouter(prefix="/v1/isc/tenants", tags=["Certifications"], route_class=Route)

_LONGEST_OFFSET = 9


class TenantAnswer(Resource):
    """A tenant: its id is the credential's."""

    name: str = Field(examples=["ISC production"])
    api_url: str | None = Field(examples=["https://acme.api.identitynow.com"])
    environment: Environment | None = Field(description="The credential's option.", examples=["production"])


class SourceAnswer(BaseModel):
    """A source, as the tenant lists it now."""

    id: str = Field(examples=["2c918084737cf3fe01740875ebac75cd"])
    name: str = Field(examples=["Ledgerly Production"])
    type: str | None = Field(description="Kind of its connector.", examples=["DelimitedFile"])
    environment: Environment | None = Field(
        description="What its mapping says, else the tenant's option, else a word of its name; null fits all."
    )
    mapped_to: UUID | None = Field(description="Id of the application, of the first where there are several.")


@router.get("", operation_id="list_isc_tenants", response_model=ListOf[TenantAnswer])
async def list_isc_tenants(
    request: Request, _caller: Viewer, session: Session, page: Annotated[Page, Depends(paging("name"))]
) -> Response:
    """The credentials of the connector `sailpoint-isc`, newest first."""
    by_name = func.lower(Credential.name).collate("C")
    found = await select_page(session, tenants.tenants(), page, identity=Credential.id, sorts={"name": by_name})
    return list_answer(request, page, [_shown(t) for t in found.items], last=found.last, total=found.total)


@router.get(
    "/{tenant_id}/sources",
    operation_id="list_isc_sources",
    response_model=ListOf[SourceAnswer],
    responses=problems(502),
)
async def list_isc_sources(
    request: Request,
    _caller: Viewer,
    session: Session,
    runtime: Runtime,
    tenant_id: UUID,
    page: Annotated[Page, Depends(paging("name", default="name"))],
) -> Response:
    """The tenant's sources by name, asked of it now."""
    tenant = await tenants.get(session, tenant_id)
    await session.commit()  # the vendor is called with no transaction open
    (offset,) = (0,) if page.after is None else place_of(page.after, _offset)
    async with tenants.asking_at_once(runtime, tenant) as isc:
        found = await isc.list_sources(offset=offset, limit=page.limit, descending=page.descending, count=page.count)
    mapped = await _mapped(session, tenant_id, [source.id for source in found.records])
    items = [_source(source, tenant, mapped.get(source.id)) for source in found.records]
    last = None if found.cursor is None else [int(found.cursor)]
    return list_answer(request, page, items, last=last, total=found.expected)


def _offset(text: str) -> int:
    if len(text) > _LONGEST_OFFSET or not text.isdecimal():
        raise ValueError("no offset")
    return int(text)


def _shown(tenant: Credential) -> TenantAnswer:
    return TenantAnswer(
        id=tenant.id,
        created_at=tenant.created_at,
        updated_at=tenant.updated_at,
        name=tenant.name,
        api_url=tenant.options.get("api_url"),
        environment=tenant.options.get("environment"),
    )


async def _mapped(session: AsyncSession, tenant_id: UUID, source_ids: list[str]) -> dict[str, SourceMapping]:
    """The first mapping of each source that has one."""
    statement = (
        select(SourceMapping)
        .where(SourceMapping.tenant_id == tenant_id, SourceMapping.source_id.in_(source_ids))
        .order_by(SourceMapping.id.desc())
    )
    return {mapping.source_id: mapping for mapping in await session.scalars(statement)}


def _source(source: Source, tenant: Credential, mapping: SourceMapping | None) -> SourceAnswer:
    said = mapping.source_environment if mapping else None
    return SourceAnswer(
        id=source.id,
        name=source.name,
        type=source.type,
        environment=environment_of_source(said, tenant.options.get("environment"), source.name),
        mapped_to=mapping.application_id if mapping else None,
    )
