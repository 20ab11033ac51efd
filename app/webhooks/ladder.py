"""When a message is tried again. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

JITTER = 0.2


def wait_after(
    tries: int,
    waits: Sequence[float],
    told_s: float | None = None,
    *,
    uniform: Callable[[], float] = random.random,
) -> float | None:
    """Seconds until the next attempt, None where there is none.

    tries    attempts that have failed, this one included.
    waits    SEATWISE_WEBHOOK_RETRIES in seconds; each gets up to 20 % on top.
    told_s   what the receiver asked for: it lengthens a wait and never shortens it.
    """
    if tries > len(waits):
        return None
    return max(waits[tries - 1] * (1 + JITTER * uniform()), told_s or 0.0)
