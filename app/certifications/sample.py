"""Trying a mapping: how many of an application's accounts its source knows."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from app.certifications.source_accounts import refresh
from app.core.database import Pool
from app.models import Credential, SourceMapping
from app.sync.runtime import Runtime

PATIENCE_S = 25
ASK_AGAIN_S = 0.25
_FROM = 10_000

_SAMPLED = """
    WITH sampled AS (
        SELECT id, username, email, coalesce(username, email, name) AS shown
        FROM (
            SELECT id, username, email, name FROM accounts
            WHERE application_id = $1 AND seat <> 'none' ORDER BY id DESC LIMIT $4
        ) latest
        ORDER BY random() LIMIT $3
    ), held AS MATERIALIZED (
        SELECT s.id, k.key FROM sampled s
        CROSS JOIN LATERAL (VALUES (lower(s.username)), (lower(s.email))) AS k (key) WHERE k.key IS NOT NULL
    ), known AS (
        SELECT DISTINCT held.id
        FROM isc_accounts i
        CROSS JOIN LATERAL (VALUES (lower(i.native_identity)), (lower(i.name)), (lower(i.mail))) AS k (key)
        JOIN held USING (key)
        WHERE i.mapping_id = $2
    )
    SELECT s.shown, k.id IS NOT NULL AS found FROM sampled s LEFT JOIN known k USING (id) ORDER BY s.shown
"""
_STATE = "SELECT accounts_read_at, failure FROM source_mappings WHERE id = $1"


async def try_mapping(runtime: Runtime, tenant: Credential, mapping: SourceMapping, sample: int) -> dict[str, Any]:
    """Read the source anew, then look for `sample` accounts that hold a seat. No transaction may be open.

    Answers `sampled`, `found`, `status`, `missing` (names of accounts) and `detail`. A source that cannot be read, or
    not in PATIENCE_S seconds, is judged by its accounts as last read, and the detail says so.
    """
    in_time = await _read_in_time(runtime, tenant, mapping.source_id)
    state = await runtime.database.pool.fetchrow(_STATE, mapping.id)
    failure = state["failure"] if state is not None else None
    read_at = state["accounts_read_at"] if state is not None else None
    trouble = failure["detail"] if failure else "" if in_time else "The source's accounts are still being read."
    if read_at is None:
        return _outcome(0, [], trouble or "The source was not read.")
    rows = await _rows(runtime.database.pool, mapping.application_id, mapping.id, sample)
    if trouble:
        trouble = f"Judged by the source's accounts of {read_at:%Y-%m-%d %H:%M} UTC: {trouble}"
    return _outcome(len(rows), [row["shown"] for row in rows if not row["found"]], trouble)


async def _read_in_time(runtime: Runtime, tenant: Credential, source_id: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await refresh(runtime, tenant, source_id, whole=True):  # noqa: ASYNC110  another process has it
                await asyncio.sleep(ASK_AGAIN_S)
    except TimeoutError:
        return False
    return True


async def _rows(pool: Pool, application_id: UUID, mapping_id: UUID, sample: int) -> list[Any]:
    return list(await pool.fetch(_SAMPLED, application_id, mapping_id, sample, _FROM))


def _outcome(sampled: int, missing: list[str], trouble: str) -> dict[str, Any]:
    found = sampled - len(missing)
    if sampled == 0:
        said = trouble or "The application has no account with a seat. Sync its instance first."
    else:
        said = f"{found} of {sampled} accounts were found in the source. {trouble}".strip()
    status = "failure" if found == 0 else "success" if found == sampled else "partial"
    return {"sampled": sampled, "found": found, "status": status, "missing": missing, "detail": said}
