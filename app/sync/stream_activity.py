"""The activity stream: from where the last read ended, or as far back as the vendor keeps."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.connectors.contract import Page, Use
from app.core.clock import now
from app.sync.apply_activity import ActivityCounts, apply_uses
from app.sync.reads import Read, Step, advance, open_read
from app.sync.strays import keep_strays, take_strays
from app.sync.work import Work

# How late an event may appear in a log that is asked by time.
OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a read begins: behind a polling log's cursor, or at a time. `since` is also where coverage begins."""

    cursor: str | None
    since: datetime


def starting_point(
    *, cursor: str | None, covered_until: datetime | None, kept_days: int, lookback_days: int, at: datetime
) -> Start:
    """Where a read that begins at `at` starts.

    kept_days       how long the vendor keeps events; a cursor or a time before that is of no use.
    lookback_days   how far back the first read goes.
    """
    oldest = at - timedelta(days=kept_days)
    if covered_until is None:
        return Start(None, at - timedelta(days=min(kept_days, lookback_days)))
    if covered_until <= oldest:
        return Start(None, oldest)
    if cursor is not None:
        return Start(cursor, covered_until)
    return Start(None, max(oldest, covered_until - OVERLAP))


async def read_activity(work: Work) -> Read:
    """Read the use that is not read yet. Raises VendorError, LeaseLost."""
    work.stream = "activity"
    until = now()
    start = starting_point(
        cursor=work.instance.activity_cursor,
        covered_until=work.instance.covered_until,
        kept_days=work.manifest.activity_days,
        lookback_days=work.scope.lookback_days,
        at=until,
    )
    async with work.writing() as connection:
        read = await open_read(
            connection, work.scope.sync_id, "activity", cursor=start.cursor, since=start.since, until=until
        )
        rows = await connection.fetch(
            "SELECT vendor_id, application_id FROM application_entries WHERE instance_id = $1", work.scope.instance_id
        )
    if read.done:
        return read
    applications = {row["vendor_id"]: row["application_id"] for row in rows}
    await _take_up_strays(work, applications)
    since, last = read.since or start.since, read.until or until
    listing = work.pages(read, lambda cursor: work.connector.activity(since, last, cursor))
    async with aclosing(listing) as pages:
        async for page in pages:
            await _write(work, read, page, applications)
    return read


async def _take_up_strays(work: Work, applications: dict[str, UUID]) -> None:
    """Merge the uses that earlier syncs could not place, where user and application have been listed since."""
    async with work.writing() as connection:
        strays = await take_strays(connection, work.scope)
        if strays:
            listed = [use for use in strays if use.application_id in applications]
            _count(work, await apply_uses(connection, work.scope, listed, applications))


async def _write(work: Work, read: Read, page: Page[Use], applications: dict[str, UUID]) -> None:
    listed = [use for use in page.records if use.application_id in applications]
    elsewhere = {
        (use.application_id, use.user_id, use.at.date())
        for use in page.records
        if use.application_id not in applications
    }
    async with work.writing() as connection:
        counts = await apply_uses(connection, work.scope, listed, applications)
        strangers = sum(counts.strangers.values())
        rejected = len(page.rejected) + (0 if work.scope.filtered else strangers)
        filtered = len(elsewhere) + (strangers if work.scope.filtered else 0)
        await work.list_errors("activity", page.rejected)
        if not work.scope.filtered:
            await work.list_errors("activity", work.strange(counts.strangers))
        unplaced = [u for u in page.records if u.application_id not in applications or u.user_id in counts.strangers]
        await keep_strays(connection, work.scope, unplaced)
        await advance(connection, [Step(read, page.cursor, page.last)])
        work.tally.fetched("activity", len(page.records) + len(page.rejected) + page.ignored)
        _count(work, counts, filtered=filtered, rejected=rejected)
        if page.last:
            work.tally.done("activity")


def _count(work: Work, counts: ActivityCounts, *, filtered: int = 0, rejected: int = 0) -> None:
    work.tally.count(
        "activity",
        read=counts.read + filtered + rejected,
        created=counts.created,
        unchanged=counts.read - counts.created,
        filtered=filtered,
        rejected=rejected,
    )
    seats = counts.seats
    work.tally.count(
        "accounts",
        read=seats.created + seats.updated + seats.reactivated,
        created=seats.created,
        updated=seats.updated,
        reactivated=seats.reactivated,
    )
