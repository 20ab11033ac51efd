"""The books as they were known at a time: today's rows, with what changed since put back.

Each row is folded with the before-images of its later history, so a list costs an index look-up for each row that
instance, application and id leave, whatever else filters it. What was not known yet does not appear; neither does what
has left the books since (a deleted instance's accounts, an account joined into another). Accounts stand under the
application that has them today, and bear no marks of bypassed sign-on, of which no history is kept.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from app.activity.days import mark
from app.activity.keyset import Values
from app.core.clock import days_between

# Of several changes the earliest tells what was; its members win because they come last.
_BEFORE = """
    SELECT jsonb_object_agg(e.key, e.value ORDER BY h.id DESC) - 'application_id' AS images
    FROM history h CROSS JOIN LATERAL jsonb_each(h.before) e
    WHERE h.object_id = t.id AND h.at > {at} AND h.joined_from IS NULL
"""
_LATEST = """
    SELECT max(h.at) AS at, (array_agg(h.sync_id ORDER BY h.id DESC))[1] AS sync_id,
        max(h.at) FILTER (WHERE h.action = 'deactivated') AS deactivated_at
    FROM history h WHERE h.object_id = t.id AND h.at <= {at} AND h.joined_from IS NULL
"""

_ACCOUNTS = (
    """(
    SELECT a.* FROM accounts t
    LEFT JOIN LATERAL ("""
    + _BEFORE
    + """) b ON true
    LEFT JOIN LATERAL ("""
    + _LATEST
    + """) l ON true
    CROSS JOIN LATERAL (
        SELECT max(make_date(y.year, 1, 1) + length(rtrim(d.days::text, '0')) - 1) AS day
        FROM activity_years y
        CROSS JOIN LATERAL (
            SELECT CASE WHEN y.year = {year} THEN y.days & {days}::bit(366) ELSE y.days END AS days
        ) d
        WHERE t.last_active_at > {at} AND y.application_id = t.application_id AND y.account_id = t.id
          AND y.year <= {year} AND bit_count(d.days) > 0
    ) u
    CROSS JOIN LATERAL jsonb_populate_record(t, coalesce(b.images, jsonb_build_object()) || jsonb_build_object(
        'last_active_at', CASE WHEN t.last_active_at > {at} THEN u.day::timestamp AT TIME ZONE 'UTC'
            ELSE t.last_active_at END,
        'deactivated_at', CASE WHEN coalesce(b.images ->> 'status', t.status) = 'active' THEN NULL
            ELSE coalesce(l.deactivated_at, t.deactivated_at) END,
        'last_seen_at', CASE WHEN t.last_seen_at <= {at} THEN t.last_seen_at END,
        'sync_id', CASE WHEN l.at IS NULL THEN t.sync_id ELSE l.sync_id END,
        'updated_at', least(t.updated_at, greatest(l.at, t.created_at)),
        'bypass_evidence', NULL
    )) a
    WHERE t.created_at <= {at}{narrowed}
)"""
)

_PEOPLE = (
    """(
    SELECT p.* FROM people t
    LEFT JOIN LATERAL ("""
    + _BEFORE
    + """) b ON true
    LEFT JOIN LATERAL ("""
    + _LATEST
    + """) l ON true
    CROSS JOIN LATERAL jsonb_populate_record(t, coalesce(b.images, jsonb_build_object()) || jsonb_build_object(
        'updated_at', least(t.updated_at, greatest(l.at, t.created_at))
    )) p
    WHERE t.created_at <= {at}{narrowed}
)"""
)


def accounts_then(at: datetime, values: Values, **fixed: UUID | None) -> str:
    """In place of the table `accounts`.

    fixed   columns that never change (id, instance_id, application_id), with their wanted values.
    Where the latest use came after `at`, the latest date of use before stands for it, at midnight: of earlier uses the
    time of day is not kept.
    """
    (days,) = mark(days_between(date(at.year, 1, 1), at.date())).values()
    return _ACCOUNTS.format(
        at=values.add(at), year=f"{values.add(at.year)}::int", days=values.add(days), narrowed=_narrowed(fixed, values)
    )


def people_then(at: datetime, values: Values, **fixed: UUID | None) -> str:
    """In place of the table `people`; `fixed` as above."""
    return _PEOPLE.format(at=values.add(at), narrowed=_narrowed(fixed, values))


def _narrowed(fixed: dict[str, UUID | None], values: Values) -> str:
    return "".join(f" AND t.{name} = {values.add(value)}" for name, value in fixed.items() if value is not None)
