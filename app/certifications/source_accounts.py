"""The accounts of mapped sources, kept beside the books, so that a review is answered without asking ISC.

A job reads a source whole, page by page, for all its mappings; a read that was killed begins again, and does no harm
half done: rows that the source no longer lists go only at the end of a whole read. Between reads, what a sync changed
in the books is matched anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.certifications.matching import match
from app.certifications.tenants import asking
from app.connectors.sailpoint import SourceAccount
from app.core.database import Connection
from app.core.errors import VendorError
from app.core.faults import is_database_fault
from app.core.queue import enqueue
from app.models import Credential
from app.sync.leased import Again
from app.sync.runtime import Runtime

log = structlog.get_logger()

SOURCE_JOB = "isc_accounts"
AGAIN_S = 2.0

_DUE = """
    SELECT DISTINCT m.tenant_id, m.source_id
    FROM source_mappings m
    JOIN instances i ON i.id = m.instance_id AND NOT i.leaving
    LEFT JOIN syncs s ON s.id = i.last_sync_id AND s.finished_at > m.accounts_matched_at
    WHERE s.id IS NOT NULL
        OR (m.accounts_read_at IS NOT NULL AND m.accounts_matched_at IS NULL)
        OR ((m.accounts_read_at IS NULL OR m.accounts_read_at < now() - interval '24 hours')
            AND (m.accounts_tried_at IS NULL OR m.accounts_tried_at < now() - interval '1 hour'))
    LIMIT 100
"""
_MAPPINGS = """
    SELECT id, application_id,
        accounts_read_at IS NULL OR accounts_read_at < now() - interval '24 hours' AS stale
    FROM source_mappings WHERE tenant_id = $1 AND source_id = $2 ORDER BY id
"""
_BEGIN = "UPDATE source_mappings SET accounts_tried_at = now() WHERE id = ANY($1) RETURNING now()"
_KEEP = """
    INSERT INTO isc_accounts (mapping_id, vendor_id, native_identity, name, mail, seen_at)
    SELECT m.id, r.vendor_id, r.native_identity, r.name, r.mail, $6
    FROM source_mappings m
    CROSS JOIN unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS r (vendor_id, native_identity, name, mail)
    WHERE m.id = ANY($1)
    ON CONFLICT (mapping_id, vendor_id) DO UPDATE SET native_identity = excluded.native_identity,
        name = excluded.name, mail = excluded.mail, seen_at = excluded.seen_at
"""
_FORGET = "DELETE FROM isc_accounts WHERE mapping_id = ANY($1) AND seen_at < $2"
_READ = "UPDATE source_mappings SET accounts_read_at = now(), failure = NULL WHERE id = ANY($1)"
_FAILED = "UPDATE source_mappings SET failure = $3 WHERE tenant_id = $1 AND source_id = $2"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"


def job_key(tenant_id: UUID, source_id: str) -> str:
    return f"{SOURCE_JOB}:{tenant_id}:{source_id}"


async def request_read(session: AsyncSession, tenant_id: UUID, source_id: str) -> None:
    """Ask for what is due of a source, once the session commits."""
    payload = {"tenant_id": str(tenant_id), "source_id": source_id}
    await enqueue(session, SOURCE_JOB, payload, key=job_key(tenant_id, source_id))


async def adopt_sources(runtime: Runtime) -> None:
    """Ask for each source that was not read for a day, or whose application was synced or joined with another since it
    was matched. One that could not be read is tried again after an hour.
    """
    due = await runtime.database.pool.fetch(_DUE)
    if due:
        async with runtime.database.session() as session:
            for row in due:
                await request_read(session, row["tenant_id"], row["source_id"])


async def run_source(runtime: Runtime, tenant_id: UUID, source_id: str, stopping: asyncio.Event) -> Again | None:
    """Do what is due of one source. None once that is done or has failed, by whomever; else when to go on."""
    try:
        async with runtime.database.session() as session:
            tenant = await session.get(Credential, tenant_id)
        if tenant is None or await refresh(runtime, tenant, source_id, stopping=stopping):
            return None
    except Exception as error:
        if not is_database_fault(error):
            raise
        log.warning("isc.database_lost", error=type(error).__name__)
    return Again(0 if stopping.is_set() else AGAIN_S)


async def refresh(
    runtime: Runtime,
    tenant: Credential,
    source_id: str,
    *,
    whole: bool = False,
    stopping: asyncio.Event | None = None,
) -> bool:
    """Read the source where that is due, and match its accounts. What ISC refuses is kept as the mappings' failure.

    whole     read it, due or not.
    stopping  the process ends: stop after the page under way.
    False where another process is at it, or the process ends.
    """
    connection = await runtime.database.connect()
    try:
        # Ends with the connection, however the process ends.
        if not await connection.fetchval(_LOCK, job_key(tenant.id, source_id)):
            return False
        mappings = await connection.fetch(_MAPPINGS, tenant.id, source_id)
        if mappings and (whole or any(row["stale"] for row in mappings)):
            ids = [row["id"] for row in mappings]
            try:
                if not await _read(runtime, connection, tenant, source_id, ids, stopping):
                    return False
            except VendorError as error:
                log.info("isc.read_failed", source_id=source_id, code=error.code)
                failure = {"code": error.code, "detail": error.detail}
                await connection.execute(_FAILED, tenant.id, source_id, failure)
        for row in mappings:
            await match(connection, row["id"], row["application_id"])
    except (asyncpg.ForeignKeyViolationError, asyncpg.DeadlockDetectedError):
        log.info("isc.mapping_removed_meanwhile", source_id=source_id)
        return False
    else:
        return True
    finally:
        await connection.close()


async def _read(
    runtime: Runtime,
    connection: Connection,
    tenant: Credential,
    source_id: str,
    mappings: Sequence[UUID],
    stopping: asyncio.Event | None,
) -> bool:
    """Keep what the source lists, for the mappings given. False where the process ends before it is done."""
    began: datetime | None = await connection.fetchval(_BEGIN, mappings)
    if began is None:
        return True
    async with asking(runtime, tenant) as isc, aclosing(isc.accounts(source_id)) as pages:
        async for page in pages:
            await _keep(connection, mappings, page.records, began)
            if stopping is not None and stopping.is_set():
                return False
    async with connection.transaction():
        await connection.execute(_FORGET, mappings, began)
        await connection.execute(_READ, mappings)
    return True


async def _keep(
    connection: Connection, mappings: Sequence[UUID], records: Sequence[SourceAccount], began: datetime
) -> None:
    """One page; an account that stands twice on it is kept once."""
    accounts = {account.id: account for account in records}.values()
    if accounts:
        await connection.execute(
            _KEEP,
            mappings,
            [account.id for account in accounts],
            [account.native_identity for account in accounts],
            [account.name for account in accounts],
            [account.mail for account in accounts],
            began,
        )
