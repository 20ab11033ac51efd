"""What each instance has fully observed of a window."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.activity.days import Span, masks_by_year
from app.activity.keyset import Fetch

_OBSERVED = """
    SELECT i.id, i.owner, i.covered_until, i.users_read_at, c.covered_days, c.covered_before
    FROM instances i
    LEFT JOIN LATERAL (
        SELECT sum(bit_count(y.days & ($1::bit(366)[])[y.year - $3 + 1]))::int AS covered_days,
            sum(bit_count(y.days & ($2::bit(366)[])[y.year - $3 + 1]))::int AS covered_before
        FROM coverage_years y
        WHERE y.instance_id = i.id AND y.year BETWEEN $3 AND $4
    ) c ON true
    WHERE i.status <> 'deleting' AND ($5::uuid[] IS NULL OR i.id = ANY($5))
"""


@dataclass(frozen=True, slots=True)
class Observed:
    """An instance as far as use is concerned.

    covered_days  covered dates of the window.
    whole         every date before the last one is covered: only then can no use mean `unused`.
    """

    owner: str
    covered_until: datetime | None
    users_read_at: datetime | None
    covered_days: int
    whole: bool


async def observe(fetch: Fetch, window: Span, instances: Collection[UUID] | None = None) -> dict[UUID, Observed]:
    """The instances given, or all; without those that are being deleted."""
    rows = await fetch(
        _OBSERVED,
        masks_by_year(window, window),
        masks_by_year(Span(window.first, window.last - timedelta(days=1)), window),
        window.first.year,
        window.last.year,
        instances,
    )
    return {
        row["id"]: Observed(
            owner=row["owner"],
            covered_until=row["covered_until"],
            users_read_at=row["users_read_at"],
            covered_days=row["covered_days"] or 0,
            whole=bool(row["covered_days"]) and row["covered_before"] == window.days - 1,
        )
        for row in rows
    }
