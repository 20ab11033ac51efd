"""Which days an instance's activity stream has fully observed.

A date is covered when its use was read from its first moment to its last, or, for the date of the latest read, up to
that read. So a read that follows the one before without a gap completes that one's last date; after a gap that date
was only half seen, and is covered no longer.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from app.core.clock import days_between, midnight


def after_read(
    covered: frozenset[date], covered_until: datetime | None, since: datetime, until: datetime
) -> frozenset[date]:
    """The covered dates once the span from `since` to `until` has been read completely."""
    gap = covered_until is None or since > covered_until
    if gap and covered_until is not None:
        covered -= {covered_until.date()}
    first = since.date() if since == midnight(since.date()) else since.date() + timedelta(days=1)
    if not gap and covered_until is not None and covered_until.date() in covered:
        first = min(first, covered_until.date())
    return covered | frozenset(days_between(first, until.date()))
