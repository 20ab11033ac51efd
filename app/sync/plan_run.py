"""The job that makes a plan: read the vendor, then rehearse the read on copies of the books."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import structlog

from app.core.errors import InvalidOptions, VendorError
from app.core.faults import is_database_fault
from app.models import Credential, Instance, Plan
from app.sync.connection import connect
from app.sync.failure import describe, internal
from app.sync.lease import LeaseLost
from app.sync.leased import Again, Stopping, while_renewing, work_under
from app.sync.plan_lease import PlanLease, claim_plan
from app.sync.plan_read import read_for_plan
from app.sync.plan_rehearsal import rehearse
from app.sync.plan_settings import settings_digest
from app.sync.runtime import Runtime

log = structlog.get_logger()

PLAN_JOB = "plan"


def plan_job_key(plan_id: UUID) -> str:
    return f"plan:{plan_id}"


async def run_plan(runtime: Runtime, plan_id: UUID, stopping: asyncio.Event) -> Again | None:
    """Make the plan from wherever it stands. None once that is settled, by whomever; else when to try again."""
    claimed = await claim_plan(runtime.database, plan_id, worker=runtime.process_id, seconds=runtime.settings.lease_s)
    return await work_under(claimed, lambda lease: _run(runtime, lease, stopping), "plan", plan_id=plan_id)


async def _run(runtime: Runtime, lease: PlanLease, stopping: asyncio.Event) -> None:
    try:
        await while_renewing(_read_and_rehearse(runtime, lease), lease.renew, lease.seconds, stopping)
    except VendorError as error:
        log.warning("plan.failed", code=error.code, vendor_status=error.vendor_status, vendor_code=error.vendor_code)
        await _fail(lease, describe(error, None))
    except (LeaseLost, Stopping):
        raise
    except Exception as error:
        if is_database_fault(error):
            raise
        log.exception("plan.fault")
        await _fail(lease, internal(None))


async def _read_and_rehearse(runtime: Runtime, lease: PlanLease) -> None:
    async with runtime.database.session() as session:
        plan = await session.get_one(Plan, lease.plan_id)
        instance = await session.get_one(Instance, plan.instance_id)
        credential = await session.get(Credential, instance.credential_id) if instance.credential_id else None
    if credential is None or plan.read_at is None:
        raise InvalidOptions("The instance has no credential; set credential_id.")
    if settings_digest(instance, credential) != plan.settings:
        raise InvalidOptions("The instance was changed while the plan was made; ask for another plan.")
    accounts = instance.sync["scope"] == "users_and_accounts"
    async with connect(runtime, credential, instance.options) as link:
        await read_for_plan(lease, link.connector, accounts=accounts)
    await rehearse(lease, instance, credential, plan.read_at)


async def _fail(lease: PlanLease, failure: dict[str, Any]) -> None:
    async with lease.transaction() as connection:
        await connection.execute(
            "UPDATE plans SET status = 'failed', failure = $2, lease_until = NULL, updated_at = now() WHERE id = $1",
            lease.plan_id,
            failure,
        )
        await connection.execute("DELETE FROM plan_pages WHERE plan_id = $1", lease.plan_id)
