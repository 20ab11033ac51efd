"""What a dashboard opens with: everything that is connected, held, used and paid for, in one answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.activity.days import Span
from app.activity.keyset import Fetch, Row, Values
from app.core.database import Pool
from app.licences.costs import costs_sql, money

RENEWAL_DAYS = 60
SHOWN = 50
"""How many renewals and stale instances are listed at most; their totals stand beside."""

_COUNTED = ("accounts", "assigned", "used", "unused", "unknown", "exempt", "in_grace", "reclaimable")

# One row for each currency and period, and one without for applications that have no contract.
_SUMS = """
    SELECT currency, per, count(*) AS applications, {counted}, sum(seats_bought) AS seats_bought,
        sum(cost_of_unused) AS cost_of_unused, sum(total_cost) AS total_cost
    FROM ({costs}) c GROUP BY currency, per ORDER BY currency, per
"""
# All but those whom only instances know that are leaving.
_PEOPLE = """
    WITH leaving AS (SELECT id FROM instances WHERE leaving OR status = 'deleting')
    SELECT (SELECT count(*) FROM people) - (
        SELECT count(*) FROM (
            SELECT u.person_id FROM leaving i JOIN vendor_users u ON u.instance_id = i.id
            UNION SELECT a.person_id FROM leaving i JOIN accounts a ON a.instance_id = i.id
        ) p
        WHERE NOT EXISTS (
            SELECT 1 FROM vendor_users u
            WHERE u.person_id = p.person_id AND u.instance_id <> ALL (ARRAY(SELECT id FROM leaving))
        ) AND NOT EXISTS (
            SELECT 1 FROM accounts a
            WHERE a.person_id = p.person_id AND a.instance_id <> ALL (ARRAY(SELECT id FROM leaving))
        )
    )
"""
_INSTANCES = "SELECT status, count(*) AS number FROM instances GROUP BY status"
_STALE = """
    SELECT id, name, stale_since, count(*) OVER () AS total FROM instances
    WHERE stale_since IS NOT NULL AND NOT (leaving OR status = 'deleting') ORDER BY stale_since, id LIMIT $1
"""
_RENEWALS = """
    SELECT c.id AS contract_id, c.application_id, p.name AS application, c.renews_on, c.seats,
        round(c.price_per_seat * c.seats, 2) AS total_cost, c.currency,
        CASE c.term WHEN 'monthly' THEN 'month' ELSE 'year' END AS per, count(*) OVER () AS total
    FROM contracts c JOIN applications p ON p.id = c.application_id
    JOIN instances i ON i.id = p.instance_id AND NOT (i.leaving OR i.status = 'deleting')
    WHERE c.renews_on BETWEEN $1 AND $2 ORDER BY c.renews_on, c.id LIMIT $3
"""


async def overview(pool: Pool, window: Span) -> dict[str, Any]:
    """Sums over all applications in the window, spend per currency and period, renewals, instances."""
    async with pool.acquire() as connection:
        sums = await _sums(connection.fetch, window)
        people = await connection.fetchval(_PEOPLE)
        statuses = {row["status"]: row["number"] for row in await connection.fetch(_INSTANCES)}
        stale = await connection.fetch(_STALE, SHOWN)
        last = window.last + timedelta(days=RENEWAL_DAYS)
        renewals = await connection.fetch(_RENEWALS, window.last, last, SHOWN)
    return {
        "window": window.word,
        "from": window.first,
        "to": window.last,
        "applications": sum(row["applications"] for row in sums),
        "people": people,
        **{name: sum(int(row[name]) for row in sums) for name in _COUNTED},
        "seats_bought": sum(row["seats_bought"] for row in _bought(sums)),
        "cost_of_unused": [money(row["cost_of_unused"], row["currency"], row["per"]) for row in _bought(sums)],
        "total_cost": [money(row["total_cost"], row["currency"], row["per"]) for row in _bought(sums)],
        "renewals_total": renewals[0]["total"] if renewals else 0,
        "renewals": [_renewal(row) for row in renewals],
        "instances": {status: statuses.get(status, 0) for status in ("draft", "live", "inactive", "deleting")},
        "stale_total": stale[0]["total"] if stale else 0,
        "stale": [{"id": row["id"], "name": row["name"], "stale_since": row["stale_since"]} for row in stale],
    }


async def _sums(fetch: Fetch, window: Span) -> list[Row]:
    values = Values()
    costs = costs_sql(window, values)
    counted = ", ".join(f"sum({name}) AS {name}" for name in _COUNTED)
    return list(await fetch(_SUMS.format(costs=costs, counted=counted), *values))


def _bought(sums: list[Row]) -> list[Row]:
    return [row for row in sums if row["currency"] is not None]


def _renewal(row: Row) -> dict[str, Any]:
    return {
        "contract_id": row["contract_id"],
        "application_id": row["application_id"],
        "application": row["application"],
        "renews_on": row["renews_on"],
        "seats": row["seats"],
        "total_cost": money(row["total_cost"], row["currency"], row["per"]),
    }
