"""Which function works a job, by the job's name. A new kind of background work is one more line here.

A handler gets the runtime, the job's payload and the event that is set when the process ends. It returns None once
the job is done, or `Again` with the seconds after which to hand it the job once more. What it raises drops the job,
so work that must not be lost is known from its table too, and asked for again by a step of `app.scheduler.due`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from app.certifications.source_accounts import SOURCE_JOB, run_source
from app.erasure.requests import ERASURE_JOB
from app.erasure.run import run_erasure
from app.reports.run import run_report
from app.reports.run_requests import REPORT_JOB
from app.scheduler.syncing import work_sync
from app.sync.leased import Again
from app.sync.plan_run import PLAN_JOB, run_plan
from app.sync.removal import REMOVAL_JOB, run_removal
from app.sync.requests import SYNC_JOB
from app.sync.runtime import Runtime

Payload = Mapping[str, Any]
Handler = Callable[[Runtime, Payload, asyncio.Event], Awaitable[Again | None]]


async def _remove(runtime: Runtime, payload: Payload, stopping: asyncio.Event) -> Again | None:
    return await run_removal(runtime, UUID(payload["instance_id"]), stopping)


async def _plan(runtime: Runtime, payload: Payload, stopping: asyncio.Event) -> Again | None:
    return await run_plan(runtime, UUID(payload["plan_id"]), stopping)


async def _read_source(runtime: Runtime, payload: Payload, stopping: asyncio.Event) -> Again | None:
    return await run_source(runtime, UUID(payload["tenant_id"]), payload["source_id"], stopping)


async def _report(runtime: Runtime, payload: Payload, stopping: asyncio.Event) -> Again | None:
    return await run_report(runtime, UUID(payload["run_id"]), stopping)


async def _erase(runtime: Runtime, payload: Payload, stopping: asyncio.Event) -> Again | None:
    return await run_erasure(runtime, UUID(payload["person_id"]), stopping)


JOBS: dict[str, Handler] = {
    SYNC_JOB: work_sync,
    REMOVAL_JOB: _remove,
    PLAN_JOB: _plan,
    REPORT_JOB: _report,
    SOURCE_JOB: _read_source,
    ERASURE_JOB: _erase,
}
