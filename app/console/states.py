"""A sync as the API tells of it: the members that a terminal shows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Stream(msgspec.Struct, frozen=True):
    """Records of one stream. `expected` is None where the vendor does not tell how many there are."""

    fetched: int = 0
    expected: int | None = None
    done: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """Nothing is asked for `seconds`. reason: `told` by the vendor, or `budget` for our share of its quota."""

    reason: str
    seconds: float


class Failure(msgspec.Struct, frozen=True):
    code: str
    detail: str
    retryable: bool = False
    stream: str | None = None
    request: str | None = None
    vendor_status: int | None = None
    vendor_code: str | None = None


class Sync(msgspec.Struct, frozen=True):
    """progress by stream; counters by kind and then by what was done; throttled_seconds spent waiting so far."""

    id: str
    instance_id: str
    status: Status
    progress: dict[str, Stream] = {}
    counters: dict[str, dict[str, int]] = {}
    failure: Failure | None = None
    waiting: Waiting | None = None
    vendor_calls: int = 0
    throttled_seconds: float = 0.0
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.status in {"succeeded", "failed", "cancelled"}

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it runs."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


def read_sync(document: object) -> Sync:
    """A sync from its JSON object. Raises msgspec.ValidationError for anything else."""
    return msgspec.convert(document, Sync)
