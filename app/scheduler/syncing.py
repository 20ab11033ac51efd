"""The job of a sync: run it where there is a slot for its vendor host, else give it back to the queue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.connectors import registry
from app.core.errors import SeatwiseError
from app.core.faults import is_database_fault
from app.sync.leased import Again
from app.sync.run import run_sync
from app.sync.runtime import Runtime
from app.sync.slots import Slots

# A slot that falls free is taken within this; many who wait come back spread, not all at one moment.
BACK_WITHIN_S = (1.0, 3.0)
# For the accounts of the instance to be gone, before they are read anew.
WHILE_LEAVING_S = 1.0

_SLOTS = Slots()

_WHOM = """
    SELECT i.connector, i.leaving, coalesce(c.options, '{}') || i.options AS options
    FROM syncs s JOIN instances i ON i.id = s.instance_id LEFT JOIN credentials c ON c.id = i.credential_id
    WHERE s.id = $1
"""


async def work_sync(runtime: Runtime, payload: Mapping[str, Any], stopping: asyncio.Event) -> Again | None:
    """None where the sync is settled or gone."""
    sync_id = UUID(payload["sync_id"])
    try:
        whom = await runtime.database.pool.fetchrow(_WHOM, sync_id)
    except Exception as error:
        if not is_database_fault(error):
            raise
        return Again(2)
    if whom is None:
        return None
    if whom["leaving"]:
        return Again(WHILE_LEAVING_S)
    settings = runtime.settings
    host = _host(whom["connector"], whom["options"])
    with _SLOTS.taken(host, in_all=settings.sync_concurrency, per_host=settings.host_concurrency) as free:
        if free:
            return await run_sync(runtime, sync_id, stopping)
    return Again(random.uniform(*BACK_WITHIN_S))  # noqa: S311  spreads, protects nothing


def _host(connector: str, options: Mapping[str, Any]) -> str:
    """Where the options do not do there is none; the run itself says what is wrong with them."""
    try:
        return registry.vendor_host(connector, options)
    except SeatwiseError:
        return ""
