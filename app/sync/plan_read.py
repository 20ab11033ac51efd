"""Reading a vendor for a plan: every page is kept, none is applied. A killed read goes on behind its last page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from app.connectors.contract import Connector, Page
from app.core.errors import CursorRefused
from app.sync.extract import side_by_side
from app.sync.plan_lease import PlanLease
from app.sync.plan_pages import ReplayConnector, Stretch, keep_page
from app.sync.stream_applications import SIDE_BY_SIDE
from app.sync.stream_users import prove_power

Listing = Callable[[Stretch, str | None], AsyncIterator[Page[Any]]]


async def read_for_plan(lease: PlanLease, connector: Connector, *, accounts: bool) -> None:
    """Keep what the vendor lists. Raises VendorError, LeaseLost.

    accounts   whether the instance fills accounts; else its users are all that matters.
    """
    kept = ReplayConnector(lease.database.pool, lease.plan_id, connector.streams)
    await _keep(lease, [Stretch("users")], lambda _, cursor: connector.users(cursor), width=1)
    if await _nobody(kept):
        await prove_power(connector)
    if not accounts or "applications" not in connector.streams:
        return
    await _keep(lease, [Stretch("applications")], lambda _, cursor: connector.applications(cursor), width=1)
    if "assignments" in connector.streams:
        scopes = [Stretch("assignments", scope) for scope in await _scopes(kept)]
        await _keep(lease, scopes, lambda scope, cursor: connector.assignments(scope.scope_id, cursor), SIDE_BY_SIDE)


async def _nobody(kept: ReplayConnector) -> bool:
    async with aclosing(kept.users()) as pages:  # type: ignore[type-var]  # it is an asynchronous generator
        async for page in pages:
            if page.records or page.rejected:
                return False
    return True


async def _scopes(kept: ReplayConnector) -> list[str]:
    """Applications with a list of their own, and every group that entitles to one."""
    scopes: dict[str, None] = {}
    async for page in kept.applications():
        for entry in page.records:
            if entry.access == "assigned":
                scopes[entry.vendor_id] = None
            elif entry.access == "groups":
                scopes.update(dict.fromkeys(entry.groups))
    return list(scopes)


async def _keep(lease: PlanLease, stretches: Iterable[Stretch], listing: Listing, width: int) -> None:
    reading = side_by_side(stretches, lambda stretch: _pages(lease, stretch, listing), width=width, depth=width)
    async with aclosing(reading) as pages:
        async for stretch, (number, page) in pages:
            async with lease.transaction() as connection:
                await keep_page(connection, lease.plan_id, stretch, number, page)


async def _pages(lease: PlanLease, stretch: Stretch, listing: Listing) -> AsyncIterator[tuple[int, Page[Any]]]:
    """The pages that are not kept yet, numbered on; from the beginning where the vendor has forgotten the cursor."""
    number, cursor, done = await _place(lease, stretch)
    if done:
        return
    try:
        async for page in listing(stretch, cursor):
            yield number, page
            number += 1
            done = True
    except CursorRefused:
        if cursor is None or done:
            raise
        async with lease.transaction() as connection:
            await connection.execute(
                "DELETE FROM plan_pages WHERE plan_id = $1 AND stream = $2 AND scope_id = $3",
                lease.plan_id,
                stretch.stream,
                stretch.scope_id,
            )
        number = 0
        async for page in listing(stretch, None):
            yield number, page
            number += 1


async def _place(lease: PlanLease, stretch: Stretch) -> tuple[int, str | None, bool]:
    """Number and cursor of the next page, and whether there is none."""
    row = await lease.database.pool.fetchrow(
        "SELECT number, cursor, last FROM plan_pages WHERE plan_id = $1 AND stream = $2 AND scope_id = $3"
        " ORDER BY number DESC LIMIT 1",
        lease.plan_id,
        stretch.stream,
        stretch.scope_id,
    )
    return (row["number"] + 1, row["cursor"], row["last"]) if row is not None else (0, None, False)
