"""Plans: what a sync would do, or what one has held back, by name; applied or discarded."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from app import instances, plans
from app.access.audit import audit
from app.activity.keyset import Slice
from app.api.deps import Admin, Books, Operator, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Creator, Resource, answer
from app.api.syncs import Action, Failure, Kind, SyncAnswer
from app.api.syncs import location as sync_location
from app.api.unit_of_work import Route
from app.core.errors import StalePrecondition
from app.models import Plan
from app.sync.story import sync_as_json

router = APIRouter(prefix="/v1", tags=["Plans"], route_class=Route)

PlanStatus = Literal["planning", "ready", "held", "applied", "superseded", "discarded", "failed"]


class PlanCounts(BaseModel):
    """Accounts by what becomes of them; people follow from them."""

    created: int = 0
    updated: int = 0
    deactivated: int = 0
    reactivated: int = 0


class PlanAnswer(Resource):
    """What a sync would do. `ready` was asked for, `held` is what a sync would not take away unasked."""

    instance_id: UUID
    sync_id: UUID | None = Field(description="The sync that held it; once applied, the sync that does it.")
    status: PlanStatus
    reason: Literal["limit", "zero_rows"] | None = Field(
        description="Why it is held: more deactivations than the limit, or nothing where there was something."
    )
    digest: str | None = Field(description="Names exactly these changes; null until they are known.")
    counts: PlanCounts
    failure: Failure | None = Field(description="Why it failed.")
    created_by: Creator | None = Field(description="Null where a sync held it.")


class PlanChangeAnswer(BaseModel):
    """One change to a record; `before` and `after` have the fields that differ."""

    kind: Kind
    action: Action
    id: UUID | None = Field(description="Null for what does not exist yet.")
    vendor_id: str | None
    name: str = Field(examples=["Ada Lovelace"])
    email: str | None = Field(examples=["ada@example.com"])
    application: str | None = Field(description="Name of the account's application.", examples=["Ledgerly"])
    before: dict[str, Any] | None = Field(examples=[{"status": "active"}])
    after: dict[str, Any] | None = Field(examples=[{"status": "inactive"}])


class ApplyPlan(Body):
    """The digest of the plan that was looked at."""

    digest: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


def shown(plan: Plan) -> PlanAnswer:
    return PlanAnswer.model_validate(
        {**{name: getattr(plan, name) for name in PlanAnswer.model_fields}, "failure": plan.failure}
    )


def _place(plan_id: UUID) -> str:
    return f"{router.prefix}/plans/{plan_id}"


@router.post(
    "/instances/{instance_id}/plans",
    operation_id="create_plan",
    status_code=202,
    response_model=PlanAnswer,
    responses=problems(409),
)
async def create_plan(request: Request, caller: Operator, session: Session, instance_id: UUID) -> Response:
    """Read the vendor and tell what a sync would do, without doing it: `ready` when all is read.

    Days of use are not part of a plan. 409 with `sync_id` while a sync runs, with `plan_id` while a plan is made.
    """
    instance = await instances.get(session, instance_id, lock=True)
    await instances.require_ready(session, instance)
    plan = await plans.create(session, instance, by=caller)
    audit(session, caller, request, "plan.created", "plan", plan.id, instance.name, None, {"instance_id": instance.id})
    return answer(request, shown(plan), 202, location=_place(plan.id))


@router.get("/instances/{instance_id}/plans", operation_id="list_plans", response_model=ListOf[PlanAnswer])
async def list_plans(
    request: Request,
    _caller: Viewer,
    session: Session,
    instance_id: UUID,
    page: Annotated[Page, Depends(paging())],
    status: PlanStatus | None = None,
) -> Response:
    """The instance's plans, newest first."""
    await instances.get(session, instance_id)
    statement = select(Plan).where(Plan.instance_id == instance_id)
    if status is not None:
        statement = statement.where(Plan.status == status)
    found = await select_page(session, statement, page, identity=Plan.id)
    return list_answer(request, page, [shown(plan) for plan in found.items], last=found.last, total=found.total)


@router.get("/plans/{plan_id}", operation_id="get_plan", response_model=PlanAnswer)
async def get_plan(request: Request, _caller: Viewer, session: Session, plan_id: UUID) -> Response:
    """One plan."""
    return answer(request, shown(await plans.get(session, plan_id)))


@router.get("/plans/{plan_id}/changes", operation_id="list_changes_of_plan", response_model=ListOf[PlanChangeAnswer])
async def list_changes_of_plan(
    request: Request,
    _caller: Viewer,
    session: Session,
    database: Books,
    plan_id: UUID,
    page: Annotated[Page, Depends(paging())],
    kind: Kind | None = None,
    action: Action | None = None,
) -> Response:
    """Everything that the plan would change, record by record, latest first."""
    await plans.get(session, plan_id)
    await session.commit()  # one connection at a time
    wanted = {"kind": kind, "action": action}
    piece = Slice(page.limit, None, page.descending, page.after)
    rows, last = await plans.list_changes(database.pool, plan_id, piece, **wanted)
    total = await plans.count_changes(database.pool, plan_id, **wanted) if page.count else None
    return list_answer(request, page, [msgspec.json.encode(row) for row in rows], last=last, total=total)


@router.post(
    "/plans/{plan_id}/apply",
    operation_id="apply_plan",
    status_code=202,
    response_model=SyncAnswer,
    responses=problems(409, 412),
)
async def apply_plan(request: Request, caller: Admin, session: Session, plan_id: UUID, body: ApplyPlan) -> Response:
    """Do exactly what the plan says, by a sync; 412 where the digest is another's or things have moved since."""
    instance, plan = await plans.lock(session, plan_id)
    before = shown(plan).model_dump()
    reason = await plans.stale(session, instance, plan, body.digest)
    if reason is not None:
        await session.commit()  # that it is superseded stands, although this is refused
        raise StalePrecondition(reason)
    await instances.require_ready(session, instance)
    sync = await plans.apply(session, instance, plan, by=caller)
    audit(session, caller, request, "plan.updated", "plan", plan.id, instance.name, before, shown(plan).model_dump())
    return answer(request, sync_as_json(sync), 202, location=sync_location(sync.id))


@router.post(
    "/plans/{plan_id}/discard", operation_id="discard_plan", response_model=PlanAnswer, responses=problems(409)
)
async def discard_plan(request: Request, caller: Admin, session: Session, plan_id: UUID) -> Response:
    """Let go of a plan. What a sync has held is judged anew by the next sync."""
    instance, plan = await plans.lock(session, plan_id)
    before = shown(plan).model_dump()
    await plans.discard(session, instance, plan)
    audit(session, caller, request, "plan.updated", "plan", plan.id, instance.name, before, shown(plan).model_dump())
    return answer(request, shown(plan))
