"""What a mapping would make of the vendor's first users; nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from app.connectors.contract import User
from app.core.clock import now
from app.models import Credential
from app.sync.connection import connect
from app.sync.mapping import UserMapping
from app.sync.runtime import Runtime
from app.sync.sources import decode_raw


async def preview(
    runtime: Runtime, credential: Credential, options: Mapping[str, Any], mapping: UserMapping, limit: int
) -> list[dict[str, Any]]:
    """The first `limit` users that the vendor lists, each with what it becomes. Raises VendorError."""
    users = await _first_users(runtime, credential, options, limit)
    at = now()
    return [_previewed(user, mapping, credential.name, at) for user in users]


async def _first_users(runtime: Runtime, credential: Credential, options: Mapping[str, Any], limit: int) -> list[User]:
    users: list[User] = []
    async with connect(runtime, credential, options) as link:
        async for page in link.connector.users():
            users += page.records
            if len(users) >= limit:
                break
    return users[:limit]


def _previewed(user: User, mapping: UserMapping, credential: str, at: datetime) -> dict[str, Any]:
    mapped = mapping(user, credential=credential, sync_time=at)
    problems = [*mapped.errors, *([mapped.rejected] if mapped.rejected is not None else [])]
    return {
        "vendor_id": user.vendor_id,
        "raw": decode_raw(user),
        "account": mapped.account,
        "person": mapped.person,
        "errors": [msgspec.structs.asdict(problem) for problem in problems],
    }
