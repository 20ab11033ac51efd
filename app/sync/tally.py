"""What a run counts and shows: progress by stream, counters by kind, what it waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from app.connectors.contract import STREAMS, StreamName
from app.core.clock import now
from app.sync.lease import Snapshot

Kind = Literal["people", "applications", "accounts", "activity"]
KINDS: tuple[Kind, ...] = ("people", "applications", "accounts", "activity")
COUNTS = ("read", "created", "updated", "unchanged", "deactivated", "reactivated", "filtered", "rejected", "held")


def empty_counters() -> dict[str, dict[str, int]]:
    return {kind: dict.fromkeys(COUNTS, 0) for kind in KINDS}


def empty_progress() -> dict[str, dict[str, Any]]:
    return {stream: {"fetched": 0, "expected": None, "done": False} for stream in STREAMS}


@dataclass(slots=True)
class Tally:
    """Begun from what the sync row holds, so that a resumed run counts on.

    vendor_calls, throttled_seconds   what earlier claims of this sync spent; the client's own count is added.
    """

    progress: dict[str, dict[str, Any]]
    counters: dict[str, dict[str, int]]
    vendor_calls: int = 0
    throttled_seconds: float = 0.0
    waiting: dict[str, Any] | None = None
    waiting_until: datetime | None = field(default=None)

    @classmethod
    def begin(cls, progress: dict[str, Any], counters: dict[str, Any], calls: int, throttled: float) -> Tally:
        return cls(progress or empty_progress(), counters or empty_counters(), calls, throttled)

    def count(self, kind: Kind, **numbers: int) -> None:
        counters = self.counters[kind]
        for name, number in numbers.items():
            counters[name] += number

    def fetched(self, stream: StreamName, records: int, expected: int | None = None) -> None:
        entry = self.progress[stream]
        entry["fetched"] += records
        if expected is not None:
            entry["expected"] = max(expected, entry["fetched"])

    def done(self, stream: StreamName) -> None:
        self.progress[stream]["done"] = True

    def wait(self, reason: str, seconds: float) -> None:
        self.waiting = {"reason": reason, "seconds": round(seconds, 1)}
        self.waiting_until = now() + timedelta(seconds=seconds)

    def snapshot(self, calls: int, throttled: float) -> Snapshot:
        """What to store now; `calls` and `throttled` are the running client's own counts."""
        for kind in KINDS[:3]:
            self._settle_unchanged(self.counters[kind])
        waiting = self.waiting if self.waiting_until is not None and self.waiting_until > now() else None
        return Snapshot(
            self.progress,
            self.counters,
            waiting,
            self.vendor_calls + calls,
            round(self.throttled_seconds + throttled, 3),
        )

    @staticmethod
    def _settle_unchanged(counts: dict[str, int]) -> None:
        """What was read and led to nothing. An account can change with its user and again with its seat, so this is
        told from the sum, not page by page.
        """
        changed = sum(counts[name] for name in ("created", "updated", "reactivated", "filtered", "rejected"))
        counts["unchanged"] = max(0, counts["read"] - changed)
