"""Whose a credential is and what it may, noted at its first sync, so that its successor can be compared with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import structlog

from app.connectors.contract import Check
from app.core.errors import VendorError
from app.models import Credential
from app.sync.work import Work

log = structlog.get_logger()

PATIENCE_S = 15


def proof_of(found: Check) -> dict[str, Any]:
    """What a credential keeps of a check that succeeded; not the subject, who may be a person."""
    return {"tenant": found.tenant, "granted": list(found.granted)}


async def prove(work: Work, credential: Credential) -> None:
    """Check a credential that was never proved, and note what it reveals. The sync does not depend on it."""
    if credential.proved is not None:
        return
    with suppress(VendorError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            found = await work.connector.check()
        if found.ok:
            await work.connection.execute(
                "UPDATE credentials SET proved = $3 WHERE id = $1 AND sealed = $2 AND proved IS NULL",
                credential.id,
                credential.sealed,
                proof_of(found),
            )
            log.debug("credential.proved")
