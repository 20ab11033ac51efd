"""The licences of one application: bought, held, used, and which seats to take back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.activity.days import Span, window
from app.activity.keyset import Fetch, Row, Values
from app.core.database import Pool
from app.licences.costs import costs_sql, money
from app.licences.reasons import reason
from app.licences.seats import RECLAIMABLE, Statement

IF_WINDOWS = (60, 90)
"""Days of the other windows whose unused seats are told besides."""

_RECLAIM = """{begin}
    SELECT * FROM ({seats}) s
    WHERE {reclaimable} AND id > {after}::uuid ORDER BY id LIMIT {limit}
"""
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Which part of the list of seats to take back: so many, after this account."""

    limit: int
    after: UUID = _FIRST


async def application_licences(
    pool: Pool, application_id: UUID, asked: Span, wanted: Reclaim
) -> tuple[dict[str, Any], UUID | None] | None:
    """The figures, and after which account the list of seats goes on (None at its end). None for no such application.

    Amounts are null without a contract in force.
    """
    async with pool.acquire() as connection:
        row = await _costs(connection.fetch, application_id, asked)
        if row is None:
            return None
        others = {
            f"{days}d": await _unused(connection.fetch, application_id, window(days, asked.last)) for days in IF_WINDOWS
        }
        seats, last = await _reclaim(connection.fetch, application_id, asked, wanted)
    bought = row["seats_bought"]
    return {
        "application_id": application_id,
        "window": asked.word,
        "from": asked.first,
        "to": asked.last,
        "covered_days": row["covered_days"],
        "covered_until": row["covered_until"],
        "contract_id": row["contract_id"],
        "seats_bought": bought,
        "assigned": row["assigned"],
        "used": row["used"],
        "unused": row["unused"],
        "unknown": row["unknown"],
        "available": None if bought is None else bought - row["assigned"],
        "exempt": row["exempt"],
        "in_grace": row["in_grace"],
        "cost_of_unused": money(row["cost_of_unused"], row["currency"], row["per"]),
        "total_cost": money(row["total_cost"], row["currency"], row["per"]),
        "if_window": others,
        "reclaim_total": row["reclaimable"],
        "reclaim": [_shown(seat, asked) for seat in seats],
    }, last


async def _costs(fetch: Fetch, application_id: UUID, asked: Span) -> Row | None:
    values = Values()
    rows = await fetch(costs_sql(asked, values, application_id), *values)
    return rows[0] if rows else None


async def _unused(fetch: Fetch, application_id: UUID, other: Span) -> int:
    row = await _costs(fetch, application_id, other)
    return 0 if row is None else int(row["unused"])


async def _reclaim(fetch: Fetch, application_id: UUID, asked: Span, wanted: Reclaim) -> tuple[list[Row], UUID | None]:
    values = Values()
    parts = Statement(asked, values, application_id)
    statement = _RECLAIM.format(
        begin=parts.begin,
        seats=parts.seats,
        reclaimable=RECLAIMABLE,
        after=values.add(wanted.after),
        limit=values.add(wanted.limit + 1),
    )
    rows = list(await fetch(statement, *values))
    shown = rows[: wanted.limit]
    return shown, shown[-1]["id"] if len(rows) > wanted.limit else None


def _shown(seat: Row, asked: Span) -> dict[str, Any]:
    return {
        "account_id": seat["id"],
        "email": seat["email"],
        "last_active_at": seat["last_active_at"],
        # Unused is what puts it on the list.
        "days_active": 0,
        "covered_days": seat["covered_days"],
        "reason": reason(seat, asked),
    }
