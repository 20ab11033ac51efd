"""What the books say of one account under review, in the words of a reviewer.

A source may be mapped to several applications, and an account of it be found in each. The best evidence counts, for
each window by itself: use anywhere is use; where there is none, one application that was not observed makes it
unknown, for it may have been used there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from asyncpg import BitString

from app.activity.days import Span, as_number, dates, masks
from app.core.clock import midnight

Integration = Literal["direct", "sso"]
_RANK = {"unused": 0, "unknown": 1, "used": 2}


@dataclass(frozen=True, slots=True)
class Mapped:
    """An application that the source is mapped to, with the years of its instance's coverage as bits.

    integration  `direct` for the integrated application itself, `sso` for one seen behind a sign-on provider.
    """

    integration: Integration
    coverage: Mapping[int, BitString]


@dataclass(frozen=True, slots=True)
class Seat:
    """One account of a mapped application, with all its years of use as bits."""

    mapped: Mapped
    last_active_at: datetime | None
    days: Mapping[int, BitString]

    def first_active_at(self) -> datetime | None:
        """Midnight of the first day of use: of earlier uses the time of day is not kept."""
        year = min((year for year, bits in self.days.items() if as_number(bits)), default=None)
        if year is None:
            return None
        return midnight(dates(self.days, Span(date(year, 1, 1), date(year, 12, 31)))[0])


@dataclass(frozen=True, slots=True)
class Seen:
    """The use of one seat in one window."""

    usage: Literal["used", "unused", "unknown"]
    days_active: int
    covered_days: int
    integration: Integration

    def as_json(self) -> dict[str, Any]:
        days = self.days_active if self.covered_days else None
        return {"days_active": days, "covered_days": self.covered_days, "usage": self.usage}


def item_of(account: str, seats: Sequence[Seat], windows: Sequence[Span]) -> dict[str, Any]:
    """The answer for an account of a mapped source; `seats` are those found, of all its applications."""
    if not seats:
        reason = "No account of the mapped applications has this username or e-mail address."
        return _item(account, "not_found", windows, reason=reason)
    best = {span.word: max((_seen(seat, span) for seat in seats), key=_weight) for span in windows}
    longest = max(windows, key=lambda span: span.days)
    decisive = best[longest.word]
    firsts = [at for seat in seats if (at := seat.first_active_at()) is not None]
    lasts = [seat.last_active_at for seat in seats if seat.last_active_at is not None]
    last = max(lasts, default=None)
    recommendation, reason = _advice(decisive, longest, last)
    return {
        "account": account,
        "status": "found",
        "windows": {word: seen.as_json() for word, seen in best.items()},
        "first_active_at": min(firsts, default=None),
        "last_active_at": last,
        "integration": decisive.integration,
        "recommendation": recommendation,
        "reason": reason,
    }


def unmapped_item(account: str, windows: Sequence[Span]) -> dict[str, Any]:
    return _item(account, "unmapped", windows, reason="This source is mapped to no application.")


def _item(account: str, status: str, windows: Sequence[Span], *, reason: str) -> dict[str, Any]:
    unknown = {"days_active": None, "covered_days": 0, "usage": "unknown"}
    return {
        "account": account,
        "status": status,
        "windows": {span.word: unknown for span in windows},
        "first_active_at": None,
        "last_active_at": None,
        "integration": None,
        "recommendation": "review",
        "reason": reason,
    }


def _seen(seat: Seat, span: Span) -> Seen:
    used, covered = _count(seat.days, span), _count(seat.mapped.coverage, span)
    before = _count(seat.mapped.coverage, Span(span.first, span.last - timedelta(days=1)))
    whole = covered > 0 and before == span.days - 1
    usage: Literal["used", "unused", "unknown"] = "used" if used else "unused" if whole else "unknown"
    return Seen(usage, used, covered, seat.mapped.integration)


def _weight(seen: Seen) -> tuple[int, int, int]:
    """The more is known of use, the better; of what is unknown, the less was observed, the truer."""
    return _RANK[seen.usage], seen.days_active, -seen.covered_days if seen.usage == "unknown" else seen.covered_days


def _count(years: Mapping[int, BitString], span: Span) -> int:
    return sum((as_number(years[year]) & mask).bit_count() for year, mask in _bits(span).items() if year in years)


@lru_cache(maxsize=64)
def _bits(span: Span) -> dict[int, int]:
    """A window's dates by year; a thousand accounts are held against the same few windows."""
    return {year: as_number(mask) for year, mask in masks(span).items()}


def _advice(seen: Seen, span: Span, last: datetime | None) -> tuple[str, str]:
    latest = "" if last is None else f"; last on {last:%Y-%m-%d}"
    if seen.usage == "used":
        return "keep", f"Used on {_days(seen.days_active)} of the last {span.days}{latest}."
    if seen.usage == "unused":
        said = f", last used on {last:%Y-%m-%d}" if last is not None else ", nor ever seen in use"
        return "revoke", f"Not used in the last {_days(span.days)}, all of which were observed{said}."
    if seen.covered_days == 0:
        return "review", f"Use in the last {_days(span.days)} was not observed, so it is unknown{latest}."
    observed = f"{seen.covered_days} of the last {_days(span.days)}"
    return "review", f"Unknown: only {observed} were observed, and no use was seen on them{latest}."


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
