"""Each seat with what decides whether it can be taken back: use, coverage, grace, exemption.

One statement says what each of these means; every figure and every reason of this folder is drawn from it. Contracts,
grace and exemptions are those of the window's last date.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from app.activity.days import Span, masks_by_year
from app.activity.keyset import Values
from app.connectors.registry import MANIFESTS
from app.core.clock import midnight

DEFAULT_GRACE_DAYS = 30

RECLAIMABLE = "seat <> 'none' AND NOT used AND whole AND observed AND NOT exempt AND NOT in_grace"
"""Of a row of `Statement.seats`: unused for the whole window, which is fully covered, and not spared."""

# They tell who signs on to other applications, and nothing of the use of themselves.
_PROVIDERS = [key for key, manifest in MANIFESTS.items() if manifest.category == "sso"]

# Materialized: asked once for each application, not for each of its accounts, which the planner would now and then do.
# The first sync that succeeds ends the initial reading: whoever was seen later has come later.
# A contract whose renewal has passed goes on until another starts.
_APPLICATIONS = """WITH licensed AS MATERIALIZED (
    SELECT p.id AS application_id, p.name AS application, c.id AS contract_id, c.seats AS seats_bought,
        c.price_per_seat, c.currency, CASE c.term WHEN 'monthly' THEN 'month' WHEN 'annual' THEN 'year' END AS per,
        g.grace_days, CASE WHEN g.grace_days > 0
            THEN (({today}::date - g.grace_days)::timestamp AT TIME ZONE 'UTC') ELSE 'infinity' END AS grace_since,
        coalesce(d.covered_days, 0) AS covered_days,
        coalesce(d.covered_days > 0 AND d.covered_before = {before}::int, false) AS whole,
        NOT (p.kind = 'integrated' AND i.connector = ANY({providers}::text[])) AS observed,
        i.covered_until, s.finished_at AS initial_sync_at
    FROM applications p
    JOIN instances i ON i.id = p.instance_id AND NOT (i.leaving OR i.status = 'deleting')
    LEFT JOIN LATERAL (
        SELECT * FROM contracts c WHERE c.application_id = p.id AND c.starts_on <= {today}::date
        ORDER BY c.starts_on DESC LIMIT 1
    ) c ON true
    CROSS JOIN LATERAL (SELECT coalesce(c.grace_days, {grace_days}::int) AS grace_days) g
    LEFT JOIN LATERAL (
        SELECT sum(bit_count(y.days & ({masks}::bit(366)[])[y.year - {first_year}::int + 1]))::int AS covered_days,
            sum(bit_count(y.days & ({masks_before}::bit(366)[])[y.year - {first_year}::int + 1]))::int AS covered_before
        FROM coverage_years y
        WHERE y.instance_id = i.id AND y.year BETWEEN {first_year}::int AND {last_year}::int
    ) d ON true
    LEFT JOIN LATERAL (
        SELECT finished_at FROM syncs s WHERE s.instance_id = i.id AND s.status = 'succeeded' ORDER BY s.id LIMIT 1
    ) s ON true
    {where}
)"""
# As usage.py tells use: the latest use decides, the bits only where a clock ran ahead.
_SEATS = """
    SELECT a.id, a.application_id, a.seat, a.email, a.last_active_at, p.whole, p.observed, p.covered_days, p.grace_days,
        CASE WHEN a.last_active_at >= {first} THEN a.last_active_at < {end} OR EXISTS (
            SELECT 1 FROM activity_years y
            WHERE y.application_id = a.application_id AND y.account_id = a.id
                AND y.year BETWEEN {first_year}::int AND {last_year}::int
                AND bit_count(y.days & ({masks}::bit(366)[])[y.year - {first_year}::int + 1]) > 0
        ) ELSE false END AS used,
        coalesce({fresh_since} >= p.grace_since, false) AS in_grace,
        ({fresh_since} AT TIME ZONE 'UTC')::date + p.grace_days AS in_grace_until,
        e.id IS NOT NULL AS exempt, e.until AS exempt_until, e.reason AS exempt_reason
    FROM accounts a
    JOIN licensed p ON p.application_id = a.application_id
    LEFT JOIN licence_exemptions e ON e.account_id = a.id AND (e.until IS NULL OR e.until >= {today}::date)
    {where}
"""
_FRESH_SINCE = "coalesce(a.assigned_at, CASE WHEN a.first_seen_at > p.initial_sync_at THEN a.first_seen_at END)"


class Statement:
    """The parts of a statement about the seats in a window, of all applications or of one.

    begin  the WITH clause that it begins with: `licensed` has a row for each application, with its contract in force
           (nulls without one), coverage and grace.
    seats  SELECT from it with a row for each account, those without a seat too.
    """

    def __init__(self, window: Span, values: Values, application_id: UUID | None = None) -> None:
        one = None if application_id is None else values.add(application_id)
        places = {
            "today": values.add(window.last),
            "masks": values.add(masks_by_year(window, window)),
            "first_year": values.add(window.first.year),
            "last_year": values.add(window.last.year),
        }
        self.begin = _APPLICATIONS.format(
            **places,
            before=values.add(window.days - 1),
            masks_before=values.add(masks_by_year(Span(window.first, window.last - timedelta(days=1)), window)),
            grace_days=values.add(DEFAULT_GRACE_DAYS),
            providers=values.add(_PROVIDERS),
            where="" if one is None else f"WHERE p.id = {one}",
        )
        self.seats = _SEATS.format(
            **places,
            first=values.add(midnight(window.first)),
            end=values.add(midnight(window.last + timedelta(days=1))),
            fresh_since=_FRESH_SINCE,
            where="" if one is None else f"WHERE a.application_id = {one}",
        )
