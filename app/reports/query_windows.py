"""The windows of one report, all read in one pass over the days: a mask for each, picked by year."""

from __future__ import annotations

from datetime import date, timedelta

from app.activity.days import Span, masks_by_year, window
from app.activity.keyset import Values


class Windows:
    """Windows by number, the report's own first; those of columns (`days_active:90d`) end with today.

    Ask for every number first, then for the SQL: that adds the parameters of all.
    """

    def __init__(self, own: Span, today: date, values: Values) -> None:
        self._own = own
        self._today = today
        self._values = values
        self._spans: list[Span] = []

    def number(self, days: int | None) -> int:
        """The number of a window of so many days; None for the report's own."""
        span = self._own if days is None else window(days, self._today)
        if span not in self._spans:
            self._spans.append(span)
        return self._spans.index(span)

    @property
    def any(self) -> bool:
        return bool(self._spans)

    @property
    def first(self) -> date:
        return min(span.first for span in self._spans)

    @property
    def years(self) -> tuple[int, int]:
        return self.first.year, max(span.last for span in self._spans).year

    @property
    def single_year(self) -> bool:
        return self.years[0] == self.years[1]

    def sums(self, days: str, year: str, *, before_today: bool, summed: bool = True) -> str:
        """`, c0, b0, …` or `, d0, …`: for each window its days whose bits are set; with `before_today` also those
        before today, without which no use does not mean `unused`.
        """
        names: dict[str, list[Span]] = {"c" if before_today else "d": self._spans}
        if before_today:
            names["b"] = [self._before_today(span) for span in self._spans]
        return "".join(
            f", {self._counted(span, days, year, summed)} AS {name}{n}"
            for name, spans in names.items()
            for n, span in enumerate(spans)
        )

    def usage(self, days: str, coverage: str, number: int) -> str:
        """`used`, `unused` or `unknown`, from a table with `d0…` and one with `c0…, b0…`."""
        whole = self.whole(coverage, number)
        return f"(CASE WHEN {days}.d{number} > 0 THEN 'used' WHEN {whole} THEN 'unused' ELSE 'unknown' END)"

    def whole(self, coverage: str, number: int) -> str:
        """Whether so much is covered that no use means `unused`."""
        wanted = self._before_today(self._spans[number]).days
        return f"({coverage}.c{number} > 0 AND {coverage}.b{number} = {wanted})"

    def _before_today(self, span: Span) -> Span:
        """May be empty: then its `days` is 0."""
        last = min(span.last, self._today - timedelta(days=1))
        return Span(span.first, max(last, span.first - timedelta(days=1)))

    def _counted(self, span: Span, days: str, year: str, summed: bool) -> str:
        frame = Span(date(self.years[0], 1, 1), date(self.years[1], 12, 31))
        masks = f"({self._values.add(masks_by_year(span, frame))}::bit(366)[])[{year} - {self.years[0]} + 1]"
        count = f"bit_count({days} & {masks})"
        return f"coalesce(sum({count}::int), 0)" if summed else count
