"""Why one account's seat can be taken back, or cannot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.activity.days import Span
from app.activity.keyset import Values
from app.activity.usage import account_activity
from app.core.database import Pool
from app.licences.reasons import is_reclaimable, reason
from app.licences.seats import Statement

_SEAT = "{begin} SELECT * FROM ({seats}) s WHERE id = {account}"
_APPLICATION = "SELECT application_id FROM accounts WHERE id = $1"


async def explain_account(pool: Pool, account_id: UUID, window: Span) -> dict[str, Any] | None:
    """What decides about the account's seat in the window; None for no such account."""
    activity = await account_activity(pool, account_id, window)
    application_id = await pool.fetchval(_APPLICATION, account_id)
    if activity is None or application_id is None:
        return None
    values = Values()
    parts = Statement(window, values, application_id)
    statement = _SEAT.format(begin=parts.begin, seats=parts.seats, account=values.add(account_id))
    seat = await pool.fetchrow(statement, *values)
    if seat is None:
        return None
    return {
        "account_id": account_id,
        "application_id": application_id,
        "window": window.word,
        "reclaimable": is_reclaimable(seat),
        "reason": reason(seat, window),
        "seat": seat["seat"],
        "usage": "used" if seat["used"] else "unused" if seat["whole"] else "unknown",
        "days_active": activity["days_active"],
        "covered_days": activity["covered_days"],
        "last_active_at": seat["last_active_at"],
        "in_grace": seat["in_grace"],
        "in_grace_until": seat["in_grace_until"] if seat["in_grace"] else None,
        "exempt": seat["exempt"],
        "exempt_until": seat["exempt_until"],
    }
