"""Cutting a list into pages that are never larger than a message may be. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Cutter:
    """Fills pages with rows, each as full as it gets.

    room       bytes of one page for its rows and the commas between them.
    oversized  whether one row alone is larger than that; it has a page of its own all the same.
    """

    room: int
    oversized: bool = False
    _pages: list[tuple[int, int]] = field(default_factory=list)
    _first: int = 0
    _rows: int = 0
    _bytes: int = 0

    def add(self, lengths: Iterable[int]) -> None:
        """The next rows, by their length in bytes."""
        for length in lengths:
            if length > self.room:
                self.oversized = True
            if self._rows and self._bytes + 1 + length > self.room:
                self._close()
            self._bytes += length + (1 if self._rows else 0)
            self._rows += 1

    def pages(self) -> list[tuple[int, int]]:
        """First row (from 0) and number of rows of each page; one empty page where there are no rows."""
        if self._rows or not self._pages:
            self._close()
        return self._pages

    def _close(self) -> None:
        self._pages.append((self._first, self._rows))
        self._first += self._rows
        self._rows = self._bytes = 0
