"""What the benchmarks print: tables in Markdown, with medians and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec


class Table(msgspec.Struct, frozen=True):
    """One table; `notes` are sentences below it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        lines = [
            f"### {self.title}",
            "",
            _line(self.header),
            _line(["---", *["---:"] * (len(self.header) - 1)]),
            *(_line(row) for row in self.rows),
            "",
        ]
        return "\n".join([*lines, *(f"{note}\n" for note in self.notes)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def percent(part: Iterable[float], whole: Iterable[float]) -> str:
    """The median over the rounds of part / whole."""
    return f"{median(a / b for a, b in zip(part, whole, strict=True)):.1%}"


def times(large: Iterable[float], small: Iterable[float]) -> str:
    """The median over the rounds of large / small."""
    return f"{median(a / b for a, b in zip(large, small, strict=True)):.1f}x"


def middle(values: Iterable[float], digits: int = 0) -> str:
    return f"{median(values):,.{digits}f}"


def megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f}"
