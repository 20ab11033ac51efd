"""The life of a plan: asked for, looked at, applied or discarded."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.activity.keyset import Selection, Slice, Values, content_of, fetch_page
from app.activity.matching import equals
from app.core.clock import now
from app.core.database import Pool
from app.core.errors import Conflict, NotFound
from app.core.queue import enqueue
from app.models import Credential, Instance, Plan, PlanPage, Sync
from app.sync.plan_run import PLAN_JOB, plan_job_key
from app.sync.plan_settings import settings_digest
from app.sync.requests import UNFINISHED, request_sync
from app.sync.runtime import Runtime

_BATCH = 100

# A later change of a named row, what was to be made and is there already, what is there no longer, or a user whom the
# vendor has shown again since.
_MOVED = text(
    """
    SELECT EXISTS (
        SELECT FROM plan_changes c JOIN plans p ON p.id = c.plan_id
        WHERE c.plan_id = :plan_id AND (
            EXISTS (SELECT FROM history h WHERE h.object_id = c.object_id AND h.id > coalesce(c.history_id, 0))
            OR (c.kind = 'people' AND c.object_id IS NULL AND EXISTS (SELECT FROM people q WHERE q.email = c.email))
            OR (c.kind = 'people' AND c.object_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM people q WHERE q.id = c.object_id))
            OR (c.kind = 'accounts' AND c.object_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM accounts a WHERE a.id = c.object_id))
            OR (c.vendor_id IS NOT NULL AND c.kind <> 'applications' AND EXISTS (
                SELECT FROM vendor_users u
                WHERE u.instance_id = p.instance_id AND u.vendor_id = c.vendor_id AND u.updated_at > p.based_at
            ))
        )
    )
    """
)

_CHANGES = """
    SELECT c.kind, c.action, c.object_id AS id, c.vendor_id, c.name, c.email, c.application, c.before, c.after,
        {key} AS sort_key, c.number AS sort_id
    FROM plan_changes c WHERE {where} ORDER BY {order} LIMIT {limit}
"""


async def create(session: AsyncSession, instance: Instance, *, by: Principal) -> Plan:
    """Ask for a plan of what a sync would do now; `instance` is locked and ready to sync.

    Raises Conflict while its accounts are deleted, a sync runs (member `sync_id`; its end would make the plan old) or
    a plan is being made (member `plan_id`).
    """
    if instance.leaving:
        raise Conflict("The accounts of this instance are being deleted; ask for a plan when they are gone.")
    running = await session.scalar(select(Sync.id).where(Sync.instance_id == instance.id, Sync.status.in_(UNFINISHED)))
    if running is not None:
        raise Conflict("A sync of this instance is running; ask for a plan when it has ended.", sync_id=str(running))
    credential = await session.get(Credential, instance.credential_id) if instance.credential_id else None
    plan_id = await session.scalar(
        insert(Plan)
        .values(instance_id=instance.id, settings=settings_digest(instance, credential), created_by=by.as_creator())
        .on_conflict_do_nothing()
        .returning(Plan.id)
    )
    if plan_id is None:
        making = await session.scalar(select(Plan.id).where(Plan.instance_id == instance.id, Plan.status == "planning"))
        raise Conflict("A plan of this instance is being made; wait for it or discard it.", plan_id=str(making))
    await enqueue(session, PLAN_JOB, {"plan_id": str(plan_id)}, key=plan_job_key(plan_id))
    return await session.get_one(Plan, plan_id)


async def get(session: AsyncSession, plan_id: UUID) -> Plan:
    """Raises NotFound."""
    plan = await session.get(Plan, plan_id)
    if plan is None:
        raise NotFound("There is no plan with this id.")
    return plan


async def lock(session: AsyncSession, plan_id: UUID) -> tuple[Instance, Plan]:
    """The plan with its instance, neither changed by anybody else meanwhile. Raises NotFound."""
    plan = await get(session, plan_id)
    instance = await session.get_one(Instance, plan.instance_id, with_for_update=True)
    await session.refresh(plan, with_for_update=True)
    return instance, plan


async def stale(session: AsyncSession, instance: Instance, plan: Plan, digest: str) -> str | None:
    """Why a locked plan must not be applied, which makes it superseded unless only the digest is another's; None where
    it may be. Raises Conflict for a plan that is applied, discarded, failed or not made yet.
    """
    if plan.status not in {"ready", "held", "superseded"}:
        hints = {"planning": "wait until it is ready", "failed": "ask for another"}
        raise Conflict(f"This plan is {plan.status}; {hints.get(plan.status, 'it cannot be applied')}.")
    if plan.status == "superseded":
        return "Things have moved since this plan was made; ask for another."
    if not hmac.compare_digest(digest.encode(), (plan.digest or "").encode()):
        return "This is the digest of another plan; read the plan again and send the digest that it has."
    moved = await _moved(session, instance, plan)
    if moved is not None:
        await _let_go(session, instance, plan, "superseded")
    return moved


async def _moved(session: AsyncSession, instance: Instance, plan: Plan) -> str | None:
    if plan.settings is not None:
        credential = await session.get(Credential, instance.credential_id) if instance.credential_id else None
        if settings_digest(instance, credential) != plan.settings:
            return "The instance's settings were changed since this plan was made; ask for another."
    if await session.scalar(_MOVED, {"plan_id": plan.id}):
        return "Something that this plan names was changed since it was made; ask for another."
    return None


async def apply(session: AsyncSession, instance: Instance, plan: Plan, *, by: Principal) -> Sync:
    """Start the sync that does what the plan says; it is not `stale`. Raises Conflict, with `sync_id` while another
    sync of the instance runs.
    """
    sync = await request_sync(session, instance, trigger="plan", by=by.as_creator())
    plan.status, plan.sync_id, plan.updated_at = "applied", sync.id, now()
    if instance.held_plan_id == plan.id:
        instance.held_plan_id = None
    await session.flush()
    return sync


async def discard(session: AsyncSession, instance: Instance, plan: Plan) -> None:
    """Let go of a plan that nobody wants; the next sync judges anew. Raises Conflict for one that is settled."""
    if plan.status not in {"planning", "ready", "held"}:
        raise Conflict(f"This plan is {plan.status}; there is nothing left to discard.")
    await _let_go(session, instance, plan, "discarded")


async def _let_go(session: AsyncSession, instance: Instance, plan: Plan, status: str) -> None:
    plan.status, plan.lease_until, plan.fence, plan.updated_at = status, None, plan.fence + 1, now()
    if instance.held_plan_id == plan.id:
        instance.held_plan_id = None
    await session.execute(delete(PlanPage).where(PlanPage.plan_id == plan.id))
    await session.flush()


async def adopt_plans(runtime: Runtime) -> None:
    """Give every plan in the making a job that nobody works on and whose lease is over."""
    grace = timedelta(seconds=runtime.settings.lease_s)
    waiting = Plan.lease_until.is_(None) & (Plan.updated_at < func.now() - grace)
    async with runtime.database.session() as session:
        abandoned = await session.scalars(
            select(Plan.id).where(Plan.status == "planning", (Plan.lease_until < func.now()) | waiting).limit(_BATCH)
        )
        for plan_id in abandoned.all():
            await enqueue(session, PLAN_JOB, {"plan_id": str(plan_id)}, key=plan_job_key(plan_id))


async def list_changes(
    pool: Pool, plan_id: UUID, page: Slice, *, kind: str | None, action: str | None
) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """One page of what the plan names, and the cursor's values where more follow."""
    rows, last = await fetch_page(pool.fetch, _selection(plan_id, kind, action), page)
    return [content_of(row) for row in rows], last


async def count_changes(pool: Pool, plan_id: UUID, *, kind: str | None, action: str | None) -> int:
    selection = _selection(plan_id, kind, action)
    where = " AND ".join(selection.conditions)
    return int(await pool.fetchval(f"SELECT count(*) FROM plan_changes c WHERE {where}", *selection.values))


def _selection(plan_id: UUID, kind: str | None, action: str | None) -> Selection:
    values = Values()
    conditions = equals({"c.plan_id": plan_id, "c.kind": kind, "c.action": action}, values)
    return Selection(_CHANGES, "c.number", tuple(conditions), tuple(values), int)
