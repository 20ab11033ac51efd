"""What each instance has fully observed of a window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.activity.days import Span, masks_by_year
from app.activity.keyset import Fetch, Values

_OBSERVED = """
    SELECT i.id, i.owner, i.covered_until, i.users_read_at, coalesce(c.covered_days, 0) AS covered_days,
        coalesce(c.covered_days > 0 AND c.covered_before = {before}, false) AS whole
    FROM instances i
    LEFT JOIN LATERAL (
        SELECT sum(bit_count(y.days & ({masks}::bit(366)[])[y.year - {first} + 1]))::int AS covered_days,
            sum(bit_count(y.days & ({masks_before}::bit(366)[])[y.year - {first} + 1]))::int AS covered_before
        FROM coverage_years y
        WHERE y.instance_id = i.id AND y.year BETWEEN {first} AND {last}
    ) c ON true
    WHERE i.status <> 'deleting'
"""


@dataclass(frozen=True, slots=True)
class Observed:
    """An instance as far as use is concerned.

    covered_days  covered dates of the window.
    whole         every date before the last one is covered: only then can no use mean `unused`.
    """

    owner: str
    covered_days: int
    whole: bool


def observed_sql(window: Span, values: Values) -> str:
    """SELECT of `id` and what `Observed` has, `covered_until` and `users_read_at`, up to where conditions on `i`, the
    instances, may follow with AND. Those that are being deleted are left out.
    """
    return _OBSERVED.format(
        masks=values.add(masks_by_year(window, window)),
        masks_before=values.add(masks_by_year(Span(window.first, window.last - timedelta(days=1)), window)),
        before=f"{values.add(window.days - 1)}::int",
        first=f"{values.add(window.first.year)}::int",
        last=f"{values.add(window.last.year)}::int",
    )


async def observe(fetch: Fetch, window: Span) -> dict[UUID, Observed]:
    """All instances but those that are being deleted."""
    values = Values()
    rows = await fetch(observed_sql(window, values), *values)
    return {row["id"]: Observed(row["owner"], row["covered_days"], row["whole"]) for row in rows}
