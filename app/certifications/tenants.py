"""Tenants of Identity Security Cloud: each is a credential of its connector, asked through the guarded client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.sailpoint import MANIFEST, SailPoint
from app.core.errors import NotFound, VendorUnavailable
from app.models import Credential
from app.sync.connection import connect
from app.sync.runtime import Runtime

CONNECTOR = MANIFEST.key
# A caller waits for the answer: what fails is told soon, instead of being tried for minutes.
RETRY_S = 10
PATIENCE_S = 30


def tenants() -> Select[Credential]:
    return select(Credential).where(Credential.connector == CONNECTOR)


async def get(session: AsyncSession, tenant_id: UUID) -> Credential:
    """Raises NotFound, also for a credential of another connector."""
    tenant = await session.scalar(tenants().where(Credential.id == tenant_id))
    if tenant is None:
        raise NotFound(f"There is no tenant with this id. A tenant is a credential of the connector {CONNECTOR}.")
    return tenant


@asynccontextmanager
async def asking(runtime: Runtime, tenant: Credential) -> AsyncIterator[SailPoint]:
    """The tenant, to be asked with the patience of a job. Raises VendorError; no transaction may be open."""
    async with connect(runtime, tenant, {}) as connection:
        yield cast("SailPoint", connection.connector)


@asynccontextmanager
async def asking_at_once(runtime: Runtime, tenant: Credential) -> AsyncIterator[SailPoint]:
    """The same for a caller who waits: PATIENCE_S seconds at most."""
    settings = runtime.settings
    hasty = settings.model_copy(update={"vendor_retry_s": min(settings.vendor_retry_s, RETRY_S)})
    try:
        async with asyncio.timeout(PATIENCE_S), asking(replace(runtime, settings=hasty), tenant) as isc:
            yield isc
    except TimeoutError as error:
        raise VendorUnavailable(f"SailPoint gave no whole answer within {PATIENCE_S} s. Try again.") from error
