"""The applications stream, and the assignments of each application that it lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from uuid import UUID

from app.connectors.contract import Application, Assignment, Page
from app.core.errors import CursorRefused
from app.sync.apply_applications import apply_applications
from app.sync.apply_groups import GROUP_STREAM, apply_group_access
from app.sync.apply_seats import SeatCounts, apply_seats
from app.sync.extract import batches
from app.sync.reads import (
    Read,
    Step,
    advance,
    entries_to_resolve,
    note_seen,
    open_read,
    open_scopes,
    scopes_to_read,
)
from app.sync.staging import plan_for_many
from app.sync.work import AHEAD, BATCH, Work, size_of

# Below the eight connections of one client, so that a token's renewal never waits for a free one.
SIDE_BY_SIDE = 6


async def read_applications(work: Work) -> Read:
    """Read every application entry that is not read yet. Raises VendorError, LeaseLost."""
    work.stream = "applications"
    async with work.writing() as connection:
        read = await open_read(connection, work.scope.sync_id, "applications")
    if not read.done:
        async with aclosing(work.pages(read, work.connector.applications)) as pages:
            async for page in pages:
                await _write_applications(work, read, page)
    return read


async def _write_applications(work: Work, read: Read, page: Page[Application]) -> None:
    records = len(page.records) + len(page.rejected)
    async with work.writing() as connection:
        counts = await apply_applications(connection, work.scope, read.id, page.records)
        await work.list_errors("applications", page.rejected)
        await advance(connection, [Step(read, page.cursor, page.last, counts.seen)])
        work.tally.fetched("applications", records, page.expected)
        work.tally.count(
            "applications", read=records, created=counts.created, rejected=len(page.rejected), **counts.changed
        )
        if page.last:
            work.tally.done("applications")


async def read_assignments(work: Work, applications: Read) -> None:
    """Read who is in each scope that is not read yet, then resolve the groups. Raises VendorError, LeaseLost."""
    work.stream = "assignments"
    sync_id, instance_id = work.scope.sync_id, work.scope.instance_id
    async with work.writing() as connection:
        await open_scopes(connection, sync_id, instance_id, applications.id)
        scopes = await scopes_to_read(connection, sync_id, instance_id)
        rows = await connection.fetch(
            "SELECT vendor_id, application_id FROM application_entries WHERE instance_id = $1", instance_id
        )
    applications_by_entry = {row["vendor_id"]: row["application_id"] for row in rows}
    listing = batches(
        scopes, lambda scope: _pages_of(work, scope), size_of, width=SIDE_BY_SIDE, depth=AHEAD, most=BATCH
    )
    async with aclosing(listing) as pages:
        async for batch in pages:
            await _write_assignments(work, batch, applications_by_entry)
    for read in await entries_to_resolve(work.connection, sync_id, instance_id):
        await _resolve_groups(work, read)
    async with work.writing():
        work.tally.done("assignments")


async def _pages_of(work: Work, read: Read) -> AsyncIterator[Page[Assignment]]:
    """The pages of one scope; from its beginning where the vendor no longer takes the saved cursor."""
    try:
        async for page in work.connector.assignments(read.scope_id, read.cursor):
            yield page
    except CursorRefused:
        if read.cursor is None:
            raise
        async for page in work.connector.assignments(read.scope_id):
            yield page


async def _write_assignments(
    work: Work, batch: Sequence[tuple[Read, Page[Assignment]]], applications_by_entry: dict[str, UUID]
) -> None:
    """Write pages of whatever scopes, each scope's in their order."""
    members = [(read, each) for read, page in batch for each in page.records]
    rejected = [each for _, page in batch for each in page.rejected]
    latest = {read.id: (read, page) for read, page in batch}
    async with work.writing() as connection:
        seen = await note_seen(connection, [(read.id, each.user_id) for read, each in members])
        seats = [
            (applications_by_entry[read.scope_id], each.user_id, "assigned", each.assigned_at)
            for read, each in members
            if read.stream != GROUP_STREAM
        ]
        if seats:
            columns = ("application_id", "vendor_id", "seat", "assigned_at")
            await connection.copy_records_to_table("stage_seats", records=seats, columns=columns)
            await _count(work, len(seats), await apply_seats(connection, work.scope))
        await work.list_errors("assignments", rejected)
        steps = [Step(read, page.cursor, page.last, seen.get(read.id, 0)) for read, page in latest.values()]
        await advance(connection, steps)
        work.tally.fetched("assignments", len(members) + len(rejected))
        # Of a group's members it is not known yet for how many seats they count.
        unread = sum(len(page.rejected) for read, page in batch if read.stream != GROUP_STREAM)
        work.tally.count("accounts", read=unread, rejected=len(rejected))


async def _resolve_groups(work: Work, read: Read) -> None:
    async with work.writing() as connection:
        await plan_for_many(connection)
        noted, staged, counts = await apply_group_access(connection, work.scope, read.id, read.scope_id)
        await _count(work, staged, counts)
        await advance(connection, [Step(read, None, done=True, seen=noted)])


async def _count(work: Work, read: int, counts: SeatCounts) -> None:
    """Seats of users whom the vendor does not list are no accounts: left out by a filter, or else an error each."""
    unknown = len(counts.unknown_users)
    outcome = {"filtered": unknown} if work.scope.filtered else {"rejected": unknown}
    work.tally.count(
        "accounts",
        read=read,
        created=counts.created,
        updated=counts.updated,
        reactivated=counts.reactivated,
        **outcome,
    )
    if not work.scope.filtered:
        await work.list_errors("assignments", work.strange(counts.unknown_users))
