"""How many syncs one process runs at once, in all and towards one vendor host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """The slots of one process; in one event loop, so nothing comes between a look and a taking."""

    def __init__(self) -> None:
        self._by_host: Counter[str] = Counter()

    @contextmanager
    def taken(self, host: str, *, in_all: int, per_host: int) -> Iterator[bool]:
        """Whether there was a slot; if so, it is taken for the time of the block."""
        free = self._by_host.total() < in_all and self._by_host[host] < per_host
        if free:
            self._by_host[host] += 1
        try:
            yield free
        finally:
            if free:
                self._by_host[host] -= 1
