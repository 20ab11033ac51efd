"""What is known of use: of one application in a window, of one account day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from app.activity.days import Span, calendar, dates, masks_by_year
from app.activity.keyset import Values
from app.activity.observation import observed_sql
from app.core.clock import midnight
from app.core.database import Pool

_INSTANCE = "SELECT instance_id FROM applications WHERE id = $1"
_SEATS = """
    SELECT count(*) AS seats,
        count(*) FILTER (WHERE a.last_active_at >= $5 AND (a.last_active_at < $6 OR EXISTS (
            SELECT 1 FROM activity_years y
            WHERE y.application_id = a.application_id AND y.account_id = a.id AND y.year BETWEEN $3 AND $4
                AND bit_count(y.days & ($2::bit(366)[])[y.year - $3 + 1]) > 0
        ))) AS used
    FROM accounts a WHERE a.application_id = $1 AND a.seat <> 'none'
        AND a.instance_id <> ALL (ARRAY(SELECT id FROM instances WHERE leaving OR status = 'deleting'))
"""
_ACCOUNT = """
    SELECT a.application_id, a.instance_id, i.covered_until
    FROM accounts a JOIN instances i ON i.id = a.instance_id AND NOT (i.leaving OR i.status = 'deleting')
    WHERE a.id = $1
"""
_ACCOUNT_DAYS = """
    SELECT year, days FROM activity_years WHERE application_id = $1 AND account_id = $2 AND year BETWEEN $3 AND $4
"""
_COVERED_DAYS = "SELECT year, days FROM coverage_years WHERE instance_id = $1 AND year BETWEEN $2 AND $3"


async def application_usage(pool: Pool, application_id: UUID, window: Span) -> dict[str, Any] | None:
    """Seats of an application (accounts whose seat is not `none`) by their use in the window; None for no such one."""
    async with pool.acquire() as connection:
        instance_id = await connection.fetchval(_INSTANCE, application_id)
        values = Values()
        observed = await connection.fetchrow(
            f"{observed_sql(window, values)} AND i.id = {values.add(instance_id)}", *values
        )
        if observed is None:
            return None
        row = await connection.fetchrow(
            _SEATS,
            application_id,
            masks_by_year(window, window),
            window.first.year,
            window.last.year,
            midnight(window.first),
            midnight(window.last + timedelta(days=1)),
        )
    seats, used = (row["seats"], row["used"]) if row is not None else (0, 0)
    # The coverage is the instance's, so those without use are either all unused or all unknown.
    return {
        "window": window.word,
        "from": window.first,
        "to": window.last,
        "covered_days": observed["covered_days"],
        "covered_until": observed["covered_until"],
        "seats": seats,
        "used": used,
        "unused": seats - used if observed["whole"] else 0,
        "unknown": 0 if observed["whole"] else seats - used,
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
