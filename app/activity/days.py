"""Days as bits: a date is a year and the place of a bit in it, a span is one mask for each year it touches.

Bit n (from 0, leftmost) of a year is its day n + 1, as `activity_years.days` and `coverage_years.days` hold it. All
dates are UTC dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from asyncpg import BitString

from app.core.clock import days_between
from app.core.errors import InvalidInput
from app.models.activity import DAYS_OF_YEAR

LONGEST_WINDOW = 400
WINDOW_PATTERN = r"^([1-9][0-9]?|[123][0-9]{2}|400)d$"

_WINDOW = re.compile(WINDOW_PATTERN)


@dataclass(frozen=True, slots=True)
class Span:
    """The dates from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def word(self) -> str:
        """As an answer names it: `30d`."""
        return f"{self.days}d"


def window(days: int, today: date) -> Span:
    """The dates that end with today."""
    return Span(today - timedelta(days=days - 1), today)


def parse_window(word: str, today: date, *, parameter: str = "window") -> Span:
    """`30d` as dates. Raises InvalidInput that names the query parameter."""
    match = _WINDOW.fullmatch(word)
    if match is None:
        raise InvalidInput.parameter(parameter, f"Type a number of days from 1d to {LONGEST_WINDOW}d, such as 30d.")
    return window(int(match[1]), today)


def place(day: date) -> tuple[int, int]:
    """The year of a date and its bit in it, from 0 for 1 January."""
    return day.year, day.timetuple().tm_yday - 1


def masks(span: Span) -> dict[int, BitString]:
    """For each year of the span the bits of its dates; none where the span is empty."""
    return {year: as_bits(bits) for year, bits in _numbers(span).items()}


def masks_by_year(span: Span, frame: Span) -> list[BitString]:
    """The bits of the span's dates for every year that the frame touches, in order, for SQL to pick by year."""
    bits = _numbers(span)
    return [as_bits(bits.get(year, 0)) for year in range(frame.first.year, frame.last.year + 1)]


def mark(days: Iterable[date]) -> dict[int, BitString]:
    """For each year the bits of the dates given, in any order."""
    years: dict[int, int] = {}
    for day in days:
        year, index = place(day)
        years[year] = years.get(year, 0) | bit(index)
    return {year: as_bits(bits) for year, bits in years.items()}


def dates(years: Mapping[int, BitString], span: Span) -> list[date]:
    """The dates whose bits are set, within the span, earliest first."""
    wanted = _numbers(span)
    return [
        day for year in sorted(wanted) if year in years for day in _set(year, as_number(years[year]) & wanted[year])
    ]


def as_number(bits: BitString) -> int:
    """The bits as an integer whose highest bit (2**365) is 1 January."""
    return bits.to_int(bitorder="big", signed=False)


def calendar(span: Span, active: Iterable[date], covered: Iterable[date]) -> list[tuple[date, str]]:
    """Each date of the span with its state: `active` with use, `idle` without where covered, else `unknown`."""
    used, seen = set(active), set(covered)
    return [
        (day, "active" if day in used else "idle" if day in seen else "unknown")
        for day in days_between(span.first, span.last)
    ]


def _numbers(span: Span) -> dict[int, int]:
    years = {}
    for year in range(span.first.year, span.last.year + 1 if span.days > 0 else 0):
        low = place(max(span.first, date(year, 1, 1)))[1]
        high = place(min(span.last, date(year, 12, 31)))[1]
        years[year] = (bit(low) << 1) - bit(high)
    return years


def bit(index: int) -> int:
    """A year's day `index` (from 0) as a number."""
    return 1 << (DAYS_OF_YEAR - 1 - index)


def as_bits(bits: int) -> BitString:
    """A year's days, added up from `bit`, as the tables hold them."""
    return BitString.from_int(bits, DAYS_OF_YEAR, bitorder="big", signed=False)


def _set(year: int, bits: int) -> Iterator[date]:
    text = format(bits, f"0{DAYS_OF_YEAR}b")
    index = text.find("1")
    while index >= 0:
        yield date(year, 1, 1) + timedelta(days=index)
        index = text.find("1", index + 1)
