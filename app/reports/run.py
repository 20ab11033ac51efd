"""The job that answers a report: snapshot, outputs and event, in one transaction.

Nothing of a run is there before all of it is. Whatever ends the process that works on it, the next one finds nothing to
clean up, and nothing that was sent; a process that comes back late finds the fence raised and rolls back.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import structlog

from app.access.links import public_base
from app.core.database import Connection
from app.core.errors import InvalidInput
from app.core.faults import is_database_fault
from app.events.publish import publish
from app.reports.outputs import send_outputs
from app.reports.run_lease import RunLease, claim_run
from app.reports.snapshot import Snapshot, prepare, take
from app.sync.lease import LeaseLost
from app.sync.leased import Again, Stopping, while_renewing, work_under
from app.sync.runtime import Runtime

log = structlog.get_logger()

_SUCCEED = """
    UPDATE report_runs SET status = 'succeeded', as_of = $2, "window" = $3, columns = $4, column_types = $5,
        total_rows = $6, digest = $7, covered_until = $8,
        finished_at = clock_timestamp(), updated_at = clock_timestamp(), lease_until = NULL
    WHERE id = $1
"""
_NOTE_FAILURES = "UPDATE report_runs SET output_failures = $2 WHERE id = $1"
_FAIL = """
    UPDATE report_runs SET status = 'failed', failure = $2, finished_at = now(), updated_at = now(), lease_until = NULL
    WHERE id = $1
"""


async def run_report(runtime: Runtime, run_id: UUID, stopping: asyncio.Event) -> Again | None:
    """Answer the run. None once it is settled, by whomever; else when to try again."""
    claimed = await claim_run(runtime.database, run_id, seconds=runtime.settings.lease_s)
    return await work_under(claimed, lambda lease: _run(runtime, lease, stopping), "report", run_id=run_id)


async def _run(runtime: Runtime, lease: RunLease, stopping: asyncio.Event) -> None:
    try:
        await while_renewing(_answer(runtime, lease), lease.renew, lease.seconds, stopping)
    except InvalidInput as error:
        log.warning("report.failed", detail=error.detail)
        await _fail(lease, "invalid_definition", " ".join(each.detail for each in error.errors) or error.detail)
    except (LeaseLost, Stopping):
        raise
    except Exception as error:
        if is_database_fault(error):
            raise
        log.exception("report.fault")
        await _fail(lease, "internal", "Something went wrong here; the log has the details under this run's id.")


async def _answer(runtime: Runtime, lease: RunLease) -> None:
    base = await public_base(runtime.database, runtime.settings)
    connection = await runtime.database.connect()
    try:
        async with connection.transaction():
            await prepare(connection)
            snapshot = await take(connection, lease.run_id, lease.definition)
            await lease.hold(connection)
            await _succeed(connection, lease.run_id, snapshot)
            failures = await send_outputs(connection, lease.run_id, lease.definition["outputs"])
            await connection.execute(_NOTE_FAILURES, lease.run_id, failures)
            await publish(connection, "report.completed", _completed(lease, snapshot, base))
        log.info("report.succeeded", rows=snapshot.total_rows)
    finally:
        await connection.close()


async def _succeed(connection: Connection, run_id: UUID, snapshot: Snapshot) -> None:
    await connection.execute(
        _SUCCEED,
        run_id,
        snapshot.as_of,
        _dates(snapshot),
        [column.key for column in snapshot.columns],
        [column.type for column in snapshot.columns],
        snapshot.total_rows,
        snapshot.digest,
        snapshot.covered_until,
    )


def _dates(snapshot: Snapshot) -> dict[str, str]:
    return {"from": snapshot.window.first.isoformat(), "to": snapshot.window.last.isoformat()}


def _completed(lease: RunLease, snapshot: Snapshot, base: str) -> dict[str, Any]:
    return {
        "report_id": lease.report_id,
        "report": lease.definition["name"],
        "run_id": lease.run_id,
        "total_rows": snapshot.total_rows,
        "window": _dates(snapshot),
        "digest": snapshot.digest,
        "url": f"{base}/v1/report-runs/{lease.run_id}/rows?format=ndjson",
    }


async def _fail(lease: RunLease, code: str, detail: str) -> None:
    async with lease.database.transaction() as connection:
        await lease.hold(connection)
        await connection.execute(_FAIL, lease.run_id, {"code": code, "detail": detail})
        subject = {"report_id": lease.report_id, "report": lease.definition["name"], "run_id": lease.run_id}
        await publish(connection, "report.failed", {**subject, "reason": detail})
