"""Source mappings: which source of SailPoint Identity Security Cloud is which application."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.api.deps import Admin, Operator, Runtime, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, place_of, select_page
from app.api.openapi import problems
from app.api.resources import Body, Creator, Resource, answer, require_match, unset
from app.api.unit_of_work import Route
from app.certifications import mappings, tenants
from app.certifications.environments import Environment, mismatch
from app.certifications.sample import try_mapping
from app.certifications.suggestions import Suggestion, suggestions
from app.core.errors import FailureCode, InvalidInput, NotFound
from app.models import Application, Credential, Instance, SourceMapping

router = APIRouter(prefix="/v1/source-mappings", tags=["Certifications"], route_class=Route)

SourceId = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\s\x00]+$", examples=["2c918084737cf3fe01740875ebac75cd"]),
]
Said = Annotated[
    Environment | None,
    Field(description="Which environment the source is, where neither the tenant nor its name tells; null: they do."),
]
Allowed = Annotated[bool, Field(description="Map it although source and instance are of different environments.")]


class NewSourceMapping(Body):
    """Ties a source of a tenant to an application of an instance."""

    tenant_id: UUID
    source_id: SourceId
    application_id: UUID
    instance_id: UUID
    source_environment: Said = None
    allow_environment_mismatch: Allowed = False


class SourceMappingPatch(Body):
    """A merge patch; for another pair make another mapping."""

    source_environment: Said = None
    allow_environment_mismatch: Allowed = Field(default_factory=unset)


class ReadFailure(BaseModel):
    """Why the source's accounts could not be read last."""

    code: FailureCode
    detail: str


class SourceMappingAnswer(Resource):
    """A source, and the application that it is."""

    tenant_id: UUID
    source_id: str = Field(examples=["2c918084737cf3fe01740875ebac75cd"])
    source_name: str = Field(examples=["Ledgerly Production"])
    source_type: str | None = Field(examples=["DelimitedFile"])
    source_environment: Environment | None = Field(
        description="What was said here, else the tenant's option, else a word of the source's name; null fits all."
    )
    application_id: UUID
    application: str = Field(description="The application's name.", examples=["Ledgerly"])
    instance_id: UUID
    instance: str = Field(description="The instance's name.", examples=["Okta production"])
    allow_environment_mismatch: bool
    environment_mismatch: bool = Field(description="Whether source and instance are of different environments.")
    accounts_read_at: datetime | None = Field(description="When the source's accounts were last read whole.")
    failure: ReadFailure | None = Field(description="Why the latest read failed; null where it did not.")
    created_by: Creator


class SuggestionAnswer(BaseModel):
    """A pair that is likely one."""

    source_id: str = Field(examples=["2c918084737cf3fe01740875ebac75cd"])
    source_name: str = Field(examples=["Ledgerly Production"])
    application_id: UUID
    instance_id: UUID
    score: float = Field(description="From 0 to 1.", examples=[0.87])
    reason: str = Field(examples=["They have the same name."])


class Trial(Body):
    """How many accounts to look for."""

    sample: Annotated[int, Field(ge=1, le=100)] = 10


class TrialAnswer(BaseModel):
    """How many of the application's accounts the source knows."""

    sampled: int = Field(examples=[10])
    found: int = Field(examples=[9])
    status: Literal["success", "partial", "failure"]
    missing: list[str] = Field(description="The accounts not found.", examples=[["ines.holm@example.test"]])
    detail: str = Field(examples=["9 of 10 accounts were found in the source."])


@router.get("", operation_id="list_source_mappings", response_model=ListOf[SourceMappingAnswer])
async def list_source_mappings(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging())],
    tenant_id: UUID | None = None,
    source_id: Annotated[str | None, Query(examples=["2c918084737cf3fe01740875ebac75cd"])] = None,
    application_id: UUID | None = None,
    instance_id: UUID | None = None,
) -> Response:
    """Source mappings, newest first."""
    wanted = {
        SourceMapping.tenant_id: tenant_id,
        SourceMapping.source_id: source_id,
        SourceMapping.application_id: application_id,
        SourceMapping.instance_id: instance_id,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    found = await select_page(session, select(SourceMapping).where(*conditions), page, identity=SourceMapping.id)
    return list_answer(request, page, await _shown(session, found.items), last=found.last, total=found.total)


@router.get(
    "/suggestions",
    operation_id="suggest_source_mappings",
    response_model=ListOf[SuggestionAnswer],
    responses=problems(404, 502),
)
async def suggest_source_mappings(
    request: Request,
    _caller: Viewer,
    session: Session,
    runtime: Runtime,
    tenant_id: UUID,
    page: Annotated[Page, Depends(paging(default="-score"))],
) -> Response:
    """Pairs that are likely one, best first: by names, catalogue and environment. The tenant's sources are asked for
    now; pairs that are mapped, or whose environments differ, are left out.
    """
    tenant = await tenants.get(session, tenant_id)
    await session.commit()  # the vendor is called with no transaction open
    async with tenants.asking_at_once(runtime, tenant) as isc:
        sources = [source async for sheet in isc.sources() for source in sheet.records]
    ordered = await suggestions(runtime.database.pool, tenant, sources)
    total = len(ordered)
    if not page.descending:
        ordered.reverse()
    if page.after is not None:
        after = place_of(page.after, float, str, str)
        ordered = [each for each in ordered if (each.place() > after if page.descending else each.place() < after)]
    part = ordered[: page.limit]
    last = part[-1].place() if len(ordered) > page.limit else None
    return list_answer(request, page, [_suggested(each) for each in part], last=last, total=total)


@router.post(
    "",
    operation_id="create_source_mapping",
    status_code=201,
    response_model=SourceMappingAnswer,
    responses=problems(409, 502),
)
async def create_source_mapping(
    request: Request, caller: Admin, session: Session, runtime: Runtime, body: NewSourceMapping
) -> Response:
    """Map a source to an application. 409 where production would meet staging, unless that is allowed, and with
    `source_mapping_id` where the pair is mapped already. The source's accounts are read in the background.
    """
    tenant = await _tenant(session, body.tenant_id)
    await mappings.require_application(session, body.application_id, body.instance_id)
    await session.commit()  # the vendor is called with no transaction open
    async with tenants.asking_at_once(runtime, tenant) as isc:
        source = await isc.find_source(body.source_id)
    if source is None:
        raise InvalidInput.at("#/source_id", f"The tenant {tenant.name} has no source with this id.")
    mapping = await mappings.create(
        session, tenant, source, by=caller, **body.model_dump(exclude={"tenant_id", "source_id"})
    )
    (shown,) = await _shown(session, [mapping])
    _audit(session, caller, request, "created", mapping, None, shown)
    return answer(request, shown, 201, location=f"{router.prefix}/{mapping.id}")


@router.get("/{mapping_id}", operation_id="get_source_mapping", response_model=SourceMappingAnswer)
async def get_source_mapping(request: Request, _caller: Viewer, session: Session, mapping_id: UUID) -> Response:
    """One source mapping."""
    (shown,) = await _shown(session, [await mappings.get(session, mapping_id)])
    return answer(request, shown)


@router.patch(
    "/{mapping_id}",
    operation_id="update_source_mapping",
    response_model=SourceMappingAnswer,
    responses=problems(409),
)
async def update_source_mapping(
    request: Request, caller: Admin, session: Session, mapping_id: UUID, body: SourceMappingPatch
) -> Response:
    """Say which environment the source is, or whether a mismatch is allowed."""
    mapping = await mappings.get(session, mapping_id, lock=True)
    (before,) = await _shown(session, [mapping])
    require_match(request, before)
    await mappings.change(session, mapping, body.sent())
    (after,) = await _shown(session, [mapping])
    _audit(session, caller, request, "updated", mapping, before, after)
    return answer(request, after)


@router.delete("/{mapping_id}", operation_id="delete_source_mapping", status_code=204, response_class=Response)
async def delete_source_mapping(request: Request, caller: Admin, session: Session, mapping_id: UUID) -> Response:
    """Undo a mapping; the source's accounts that were kept for it go too."""
    mapping = await mappings.get(session, mapping_id, lock=True)
    (before,) = await _shown(session, [mapping])
    require_match(request, before)
    await session.delete(mapping)
    _audit(session, caller, request, "deleted", mapping, before, None)
    return Response(status_code=204)


@router.post("/{mapping_id}/test", operation_id="test_source_mapping", response_model=TrialAnswer)
async def try_source_mapping(
    _caller: Operator, session: Session, runtime: Runtime, mapping_id: UUID, body: Trial | None = None
) -> TrialAnswer:
    """Read the source's accounts now and look for some of the application's. An account is found when its username or
    e-mail equals a native identity, name or e-mail of the source, without case. 200 also where none is.
    """
    mapping = await mappings.get(session, mapping_id)
    tenant = await session.get_one(Credential, mapping.tenant_id)
    await session.commit()  # the vendor is called with no transaction open
    return TrialAnswer.model_validate(await try_mapping(runtime, tenant, mapping, (body or Trial()).sample))


async def _tenant(session: AsyncSession, tenant_id: UUID) -> Credential:
    try:
        return await tenants.get(session, tenant_id)
    except NotFound as error:
        raise InvalidInput.at("#/tenant_id", error.detail) from error


async def _shown(session: AsyncSession, listed: Sequence[SourceMapping]) -> list[SourceMappingAnswer]:
    """Each with the names and environments of what it ties together."""
    statement = (
        select(SourceMapping.id, Application.name, Instance, Credential)
        .join(Application, Application.id == SourceMapping.application_id)
        .join(Instance, Instance.id == SourceMapping.instance_id)
        .join(Credential, Credential.id == SourceMapping.tenant_id)
        .where(SourceMapping.id.in_([mapping.id for mapping in listed]))
    )
    tied = {row.id: row for row in await session.execute(statement)}
    return [_answer(mapping, *tied[mapping.id][1:]) for mapping in listed]


def _answer(mapping: SourceMapping, application: str, instance: Instance, tenant: Credential) -> SourceMappingAnswer:
    environment = mappings.environment(mapping, tenant)
    members: dict[str, Any] = {
        name: getattr(mapping, name) for name in SourceMappingAnswer.model_fields if hasattr(mapping, name)
    }
    return SourceMappingAnswer.model_validate(
        members
        | {
            "application": application,
            "instance": instance.name,
            "source_environment": environment,
            "environment_mismatch": mismatch(environment, instance.environment),
        }
    )


def _suggested(each: Suggestion) -> SuggestionAnswer:
    return SuggestionAnswer(
        source_id=each.source.id,
        source_name=each.source.name,
        application_id=each.candidate.id,
        instance_id=each.candidate.instance_id,
        score=each.score,
        reason=each.reason,
    )


def _audit(
    session: AsyncSession,
    caller: Admin,
    request: Request,
    what: str,
    mapping: SourceMapping,
    before: SourceMappingAnswer | None,
    after: SourceMappingAnswer | None,
) -> None:
    old, new = (each.model_dump() if each else None for each in (before, after))
    named = ("source_mapping", mapping.id, mapping.source_name)
    audit(session, caller, request, f"source_mapping.{what}", *named, old, new)
