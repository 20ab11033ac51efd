"""What is known of use: of one application in a window, of one account day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from app.activity.days import Span, calendar, dates, masks_by_year
from app.core.clock import midnight
from app.core.database import Pool

# The coverage is the instance's, so those without use are either all unused or all unknown.
_APPLICATION = """
    WITH observed AS MATERIALIZED (
        SELECT i.covered_until,
            coalesce(sum(bit_count(c.days & ($2::bit(366)[])[c.year - $4 + 1])), 0)::int AS covered_days,
            coalesce(sum(bit_count(c.days & ($3::bit(366)[])[c.year - $4 + 1])), 0)::int AS covered_before
        FROM applications p
        JOIN instances i ON i.id = p.instance_id AND i.status <> 'deleting'
        LEFT JOIN coverage_years c ON c.instance_id = i.id AND c.year BETWEEN $4 AND $5
        WHERE p.id = $1
        GROUP BY i.id
    ), seats AS (
        SELECT count(*) AS seats,
            count(*) FILTER (WHERE a.last_active_at >= $6 AND (a.last_active_at < $7 OR EXISTS (
                SELECT 1 FROM activity_years y
                WHERE y.application_id = a.application_id AND y.account_id = a.id AND y.year BETWEEN $4 AND $5
                    AND bit_count(y.days & ($2::bit(366)[])[y.year - $4 + 1]) > 0
            ))) AS used
        FROM accounts a WHERE a.application_id = $1 AND a.seat <> 'none'
    )
    SELECT o.*, s.* FROM observed o, seats s
"""

_ACCOUNT = """
    SELECT a.application_id, a.instance_id, i.covered_until
    FROM accounts a JOIN instances i ON i.id = a.instance_id AND i.status <> 'deleting'
    WHERE a.id = $1
"""
_ACCOUNT_DAYS = """
    SELECT year, days FROM activity_years WHERE application_id = $1 AND account_id = $2 AND year BETWEEN $3 AND $4
"""
_COVERED_DAYS = "SELECT year, days FROM coverage_years WHERE instance_id = $1 AND year BETWEEN $2 AND $3"


async def application_usage(pool: Pool, application_id: UUID, window: Span) -> dict[str, Any] | None:
    """Seats of an application (accounts whose seat is not `none`) by their use in the window; None for no such one."""
    row = await pool.fetchrow(
        _APPLICATION,
        application_id,
        masks_by_year(window, window),
        masks_by_year(Span(window.first, window.last - timedelta(days=1)), window),
        window.first.year,
        window.last.year,
        midnight(window.first),
        midnight(window.last + timedelta(days=1)),
    )
    if row is None:
        return None
    idle = row["seats"] - row["used"]
    all_seen = row["covered_days"] > 0 and row["covered_before"] == window.days - 1
    return {
        "window": window.word,
        "from": window.first,
        "to": window.last,
        "covered_days": row["covered_days"],
        "covered_until": row["covered_until"],
        "seats": row["seats"],
        "used": row["used"],
        "unused": idle if all_seen else 0,
        "unknown": 0 if all_seen else idle,
    }


async def account_activity(pool: Pool, account_id: UUID, span: Span) -> dict[str, Any] | None:
    """The days of one account, as a list and as a calendar; None for no such account."""
    years = (span.first.year, span.last.year)
    async with pool.acquire() as connection:
        account = await connection.fetchrow(_ACCOUNT, account_id)
        if account is None:
            return None
        uses = await connection.fetch(_ACCOUNT_DAYS, account["application_id"], account_id, *years)
        coverage = await connection.fetch(_COVERED_DAYS, account["instance_id"], *years)
    used = dates({row["year"]: row["days"] for row in uses}, span)
    covered = dates({row["year"]: row["days"] for row in coverage}, span)
    return {
        "from": span.first,
        "to": span.last,
        "days_active": len(used) if covered else None,
        "covered_days": len(covered),
        "covered_until": account["covered_until"],
        "days": used,
        "calendar": [{"date": day, "state": state} for day, state in calendar(span, used, covered)],
    }
