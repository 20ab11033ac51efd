"""A report run on its way to webhooks: as pages in order, or as one message with a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.database import Connection, Record
from app.core.errors import NotFound
from app.core.ids import new_id
from app.webhooks.cutting import Cutter
from app.webhooks.disabling import fail_pending
from app.webhooks.messages import Run
from app.webhooks.waking import wake

# The longest link there is room for: base, path, format, expiry, signature.
_LINK = "x" * 240

RUN = """
    SELECT r.id, r.report_id, r.definition ->> 'name' AS report, r.window, r.columns,
        coalesce(r.total_rows, (SELECT sum(c.rows) FROM report_chunks c WHERE c.run_id = r.id), 0)::bigint
            AS total_rows,
        coalesce(r.finished_at, r.created_at) AS finished_at
    FROM report_runs r WHERE r.id = $1
"""

_WEBHOOKS = """
    SELECT id, name, format, status, delivery, max_message_bytes, link_ttl_seconds, now() AS at
    FROM webhooks WHERE id = ANY($1::uuid[]) FOR KEY SHARE
"""

_LENGTHS = """
    SELECT ARRAY(
        SELECT octet_length(line) FROM string_to_table(rtrim(ndjson, E'\\n'), E'\\n') WITH ORDINALITY AS l (line, place)
        ORDER BY place
    ) AS lengths
    FROM report_chunks WHERE run_id = $1 ORDER BY number
"""

_COLUMNS = (
    "id",
    "webhook_id",
    "message_id",
    "event",
    "run_id",
    "series",
    "page",
    "pages",
    "first_row",
    "rows",
    "link_until",
    "next_attempt_at",
)


async def deliver_run(connection: Connection, run_id: UUID, webhook_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Put a run's messages on their way, in the transaction in which it succeeds, before its event is told there.

    Answers what cannot be delivered, by the webhook's id, in plain words. Messages to a disabled webhook are there as
    failed ones, to be sent again once it is enabled.
    """
    row = await connection.fetchrow(RUN, run_id)
    if row is None:
        raise NotFound("There is no report run with this id.")
    run = Run.of(row)
    found = {row["id"]: row for row in await connection.fetch(_WEBHOOKS, list(webhook_ids))}
    refused = {id_: "There is no such webhook any more." for id_ in webhook_ids if id_ not in found}
    refused |= {id_: _disabled(webhook) for id_, webhook in found.items() if webhook["status"] != "enabled"}
    able = list(found.values())
    cutters = {webhook["id"]: cutter for webhook in able if (cutter := _cutter(run, webhook)) is not None}
    await _cut(connection, run_id, list(cutters.values()))
    for webhook in able:
        cutter = cutters.get(webhook["id"])
        if cutter is not None and not cutter.oversized:
            records = _pages(run_id, webhook, cutter)
        elif (least := len(run.link(webhook["format"], run.id, _LINK, webhook["at"]))) <= webhook["max_message_bytes"]:
            records = _link(run_id, webhook)
        else:
            refused[webhook["id"]] = _too_small(webhook, least)
            continue
        await connection.copy_records_to_table("deliveries", records=records, columns=_COLUMNS)
    await fail_pending(connection)
    await wake(connection)
    return refused


def _disabled(webhook: Record) -> str:
    return f"The webhook {webhook['name']} is disabled. Enable it, then send its failed messages again."


def _too_small(webhook: Record, least: int) -> str:
    return (
        f"The webhook {webhook['name']} takes at most {webhook['max_message_bytes']:,} bytes. This report's rows do "
        f"not fit into that, and a message with a link to them needs {least:,}. Raise max_message_bytes, or ask for "
        "fewer columns."
    )


def _cutter(run: Run, webhook: Record) -> Cutter | None:
    """None where the rows come as a link, because that was chosen or because nothing but a link has room."""
    room = run.room(webhook["format"], webhook["max_message_bytes"])
    return Cutter(room) if webhook["delivery"] == "pages" and room >= 0 else None


async def _cut(connection: Connection, run_id: UUID, cutters: Sequence[Cutter]) -> None:
    if not cutters:
        return
    async for chunk in connection.cursor(_LENGTHS, run_id, prefetch=8):
        for cutter in cutters:
            cutter.add(chunk["lengths"])


def _link(run_id: UUID, webhook: Record) -> Iterator[tuple[Any, ...]]:
    at: datetime = webhook["at"]
    until = at + timedelta(seconds=webhook["link_ttl_seconds"])
    yield new_id(), webhook["id"], new_id(), "report.completed", run_id, None, 1, 1, None, None, until, at


def _pages(run_id: UUID, webhook: Record, cutter: Cutter) -> Iterator[tuple[Any, ...]]:
    """Only the first is due: each of the others is once the one before it was acknowledged."""
    pages = cutter.pages()
    series = new_id() if len(pages) > 1 else None
    for page, (first, rows) in enumerate(pages, start=1):
        due = webhook["at"] if page == 1 else None
        place = (series, page, len(pages), first, rows, None, due)
        yield new_id(), webhook["id"], new_id(), "report.completed", run_id, *place
