"""Sending a run where its report says: to webhooks as deliveries, to people as mails. Both go out after the commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from app.activity.keyset import Fetch
from app.core.database import Connection
from app.core.faults import is_database_fault
from app.core.ids import new_id
from app.models import ReportRun
from app.notifications.notify import each_once
from app.webhooks.runs import deliver_run

log = structlog.get_logger()

Output = Mapping[str, Any]

_MAIL = """
    INSERT INTO report_emails (id, run_id, output, address, format, attach_bytes, message_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_MAILED = """
    SELECT run_id, output, bool_or(status = 'failed') AS failed, bool_or(status = 'pending') AS pending,
        bool_or(status = 'recorded') AS recorded, min(error) FILTER (WHERE status <> 'sent') AS error
    FROM report_emails WHERE run_id = ANY($1::uuid[]) GROUP BY run_id, output
"""
_DELIVERED = """
    SELECT run_id, webhook_id, bool_or(status = 'failed') AS failed, bool_or(status = 'pending') AS pending
    FROM deliveries WHERE run_id = ANY($1::uuid[]) GROUP BY run_id, webhook_id
"""


async def send_outputs(connection: Connection, run_id: UUID, outputs: Sequence[Output]) -> dict[str, str]:
    """Put the outputs of a run on their way, in the transaction in which it succeeds.

    Answers what cannot be sent at all, in plain words by the output's place. It keeps no other from going out.
    """
    for place, output in enumerate(outputs):
        if output["type"] == "email":
            await connection.executemany(_MAIL, list(_mails(run_id, place, output)))
    hooks = {UUID(output["webhook_id"]): place for place, output in enumerate(outputs) if output["type"] == "webhook"}
    if not hooks:
        return {}
    refused = await _deliver(connection, run_id, list(hooks))
    for webhook_id, detail in refused.items():
        log.warning("report.output_refused", webhook_id=str(webhook_id), detail=detail)
    return {str(hooks[webhook_id]): detail for webhook_id, detail in refused.items()}


async def _deliver(connection: Connection, run_id: UUID, webhook_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """A fault of ours in this takes nothing else with it: the rows are kept, and people get their mails."""
    try:
        async with connection.transaction():
            return await deliver_run(connection, run_id, webhook_ids)
    except Exception as error:
        if is_database_fault(error):
            raise
        log.exception("report.output_fault")
        return dict.fromkeys(webhook_ids, "Something went wrong here; the log has the details under this run's id.")


def _mails(run_id: UUID, place: int, output: Output) -> Iterator[tuple[Any, ...]]:
    for address in each_once(output["to"]):
        mail_id = new_id()
        how = (output["format"], output["max_attachment_bytes"], f"<{mail_id}@seatwise>")
        yield mail_id, run_id, place, address, *how


async def outputs_of(fetch: Fetch, runs: Sequence[ReportRun]) -> dict[UUID, list[dict[str, Any]]]:
    """What became of each output, by run: its own `type` and `webhook_id` or `to`, with `status` (`pending`,
    `delivered`, `recorded`, `failed`, `unknown`) and `detail`.
    """
    sent = [run.id for run in runs if run.status == "succeeded" and run.definition["outputs"]]
    mailed = {(row["run_id"], row["output"]): row for row in await fetch(_MAILED, sent)} if sent else {}
    delivered = {(row["run_id"], row["webhook_id"]): row for row in await fetch(_DELIVERED, sent)} if sent else {}
    told: dict[UUID, list[dict[str, Any]]] = {}
    for run in runs:
        told[run.id] = []
        for place, output in enumerate(run.definition["outputs"]):
            row = (
                delivered.get((run.id, UUID(output["webhook_id"])))
                if output["type"] == "webhook"
                else mailed.get((run.id, place))
            )
            status, detail = _state(run, str(place), row)
            told[run.id].append({**_name(output), "status": status, "detail": detail})
    return told


def _name(output: Output) -> dict[str, Any]:
    name = "webhook_id" if output["type"] == "webhook" else "to"
    return {"type": output["type"], name: output[name]}


def _state(run: ReportRun, place: str, row: Any) -> tuple[str, str | None]:
    if run.status == "failed":
        return "failed", "The run failed, so there is nothing to send."
    if run.status != "succeeded":
        return "pending", None
    if place in run.output_failures:
        return "failed", run.output_failures[place]
    if row is None:
        return "unknown", "The webhook was deleted, or its deliveries are no longer kept."
    if row["failed"]:
        return "failed", row.get("error") or "The deliveries of this run tell why."
    if row["pending"]:
        return "pending", row.get("error")
    if row.get("recorded"):
        return "recorded", "Not sent: SEATWISE_SMTP_URL is not set."
    return "delivered", None
