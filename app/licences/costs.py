"""What the seats of each application cost, and what of that is spent on seats that nobody uses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from app.activity.days import Span
from app.activity.keyset import Values
from app.licences.seats import RECLAIMABLE, Statement

_COSTS = """{begin}
    SELECT p.application_id, p.application, p.contract_id, p.covered_days, p.covered_until, p.seats_bought,
        coalesce(n.accounts, 0) AS accounts, coalesce(n.assigned, 0) AS assigned, coalesce(n.used, 0) AS used,
        coalesce(n.unused, 0) AS unused, coalesce(n.unknown, 0) AS unknown, coalesce(n.exempt, 0) AS exempt,
        coalesce(n.in_grace, 0) AS in_grace, coalesce(n.reclaimable, 0) AS reclaimable,
        round(p.price_per_seat * coalesce(n.reclaimable, 0), 2) AS cost_of_unused,
        round(p.price_per_seat * p.seats_bought, 2) AS total_cost, p.currency, p.per
    FROM licensed p
    LEFT JOIN (
        SELECT application_id, count(*) AS accounts,
            count(*) FILTER (WHERE seat <> 'none') AS assigned,
            count(*) FILTER (WHERE seat <> 'none' AND used) AS used,
            count(*) FILTER (WHERE seat <> 'none' AND NOT used AND whole) AS unused,
            count(*) FILTER (WHERE seat <> 'none' AND NOT used AND NOT whole) AS unknown,
            count(*) FILTER (WHERE seat <> 'none' AND exempt) AS exempt,
            count(*) FILTER (WHERE seat <> 'none' AND in_grace) AS in_grace,
            count(*) FILTER (WHERE {reclaimable}) AS reclaimable
        FROM ({seats}) s GROUP BY application_id
    ) n ON n.application_id = p.application_id
"""


def costs_sql(window: Span, values: Values, application_id: UUID | None = None) -> str:
    """A SELECT with a row for each application, or for one: nothing of instances that are leaving.

    accounts, assigned, used, unused, unknown, exempt, in_grace, reclaimable are bigints; assigned = used + unused +
    unknown. seats_bought integer, cost_of_unused and total_cost numeric with two decimals, currency and per (`month`,
    `year`) are null without a contract. Prices are those of the window's last date.
    """
    parts = Statement(window, values, application_id)
    return _COSTS.format(begin=parts.begin, seats=parts.seats, reclaimable=RECLAIMABLE)


def money(amount: Decimal | None, currency: str | None, per: str | None) -> dict[str, Any] | None:
    """An amount as answers show it; null where nothing was bought."""
    return None if amount is None else {"amount": f"{amount:.2f}", "currency": currency, "per": per}
