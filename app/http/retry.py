"""How long to wait before a vendor is asked again, and what its headers say of its limits. No clock, no I/O."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from app.http.ports import Observed

BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 20.0
TOLD_CAP_S = 900.0
# No call hangs for ever on a vendor that always asks for a little more patience.
TOLD_TOTAL_S = 4 * TOLD_CAP_S
# `Date` has whole seconds and the answer takes its way: a difference below this is no skew of clocks.
SKEW_NOISE_S = 1.2

Uniform = Callable[[], float]


def told_wait(
    headers: httpx.Headers, now: datetime, *, by_reset: bool = True, uniform: Uniform = random.random
) -> float | None:
    """Seconds that an answer asks us to wait, with a little jitter on top, None where it asks nothing readable.

    `Retry-After` as seconds or as a date, else `X-Rate-Limit-Reset` (epoch seconds); times are taken relative to the
    answer's own `Date`, so that clocks may differ.
    by_reset  False for answers that are no refusal for quantity: their reset header is no advice to wait.
    Source: RFC 9110 section 10.2.3; developer.okta.com/docs/reference/rl2-monitor
    """
    wait = _retry_after(headers, now)
    if wait is None and by_reset and (reset := _number(headers.get("x-rate-limit-reset"))) is not None:
        wait = reset - _vendor_time(headers, now)
    if wait is None:
        return None
    wait = max(0.0, wait)
    return wait + uniform() * min(1.0, 0.05 + wait / 10)


def _retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    at = _date(text)
    return None if at is None else at.timestamp() - _vendor_time(headers, now)


def backoff(attempt: int, *, uniform: Uniform = random.random) -> float:
    """Seconds to wait after failure number `attempt` (1 for the first): exponential with full jitter, at most 20."""
    return uniform() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(attempt - 1, 16))


class Patience:
    """What is left of the time for which one call is retried.

    Waits that we choose ourselves, and the time that failed tries take, use it up; waiting as told does not. A vendor
    that keeps saying "at once" is still asked less and less often, and the surplus counts.
    """

    def __init__(self, retry_for_s: float, *, uniform: Uniform = random.random) -> None:
        self.attempts = 0
        self._left_s = retry_for_s
        self._told_left_s = TOLD_TOTAL_S
        self._uniform = uniform

    def next_wait(self, told_s: float | None, *, spent_s: float = 0.0) -> float | None:
        """Seconds to wait after one more failure, None when it is time to give up.

        told_s   what the vendor asked for, None where it asked nothing.
        spent_s  how long the failed try itself took.
        """
        self.attempts += 1
        if self.attempts > 1:
            self._left_s -= spent_s
        told = told_s or 0.0
        surplus = max(0.0, backoff(self.attempts, uniform=self._uniform) - told)
        if told > TOLD_CAP_S or told > self._told_left_s or (self._left_s <= 0 and (surplus > 0 or told_s is None)):
            return None
        surplus = min(surplus, max(0.0, self._left_s))
        self._left_s -= surplus
        self._told_left_s -= told
        return told + surplus


def observed(headers: httpx.Headers, now: datetime) -> Observed | None:
    """What `X-Rate-Limit-Limit`, `-Remaining` and `-Reset` say, None where one is missing or unreadable.

    Okta answers a violation of its concurrency limit with limit and remaining 0, which tells nothing of the quota.
    """
    limit = _number(headers.get("x-rate-limit-limit"))
    remaining = _number(headers.get("x-rate-limit-remaining"))
    reset = _number(headers.get("x-rate-limit-reset"))
    if not limit or remaining is None or reset is None:
        return None
    try:
        resets_at = datetime.fromtimestamp(reset, UTC) + timedelta(seconds=_skew(headers, now))
    except (OverflowError, ValueError, OSError):
        return None
    return Observed(int(limit), int(remaining), resets_at)


def _skew(headers: httpx.Headers, now: datetime) -> float:
    """Seconds that our clock is ahead of the vendor's; 0 where the difference may be mere rounding."""
    skew = now.timestamp() - _vendor_time(headers, now)
    return skew if abs(skew) > SKEW_NOISE_S else 0.0


def _vendor_time(headers: httpx.Headers, now: datetime) -> float:
    at = _date(headers.get("date", ""))
    return (at or now).timestamp()


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _number(text: str | None) -> float | None:
    """A finite number of 0 or more; of several (a header sent twice) the first."""
    try:
        value = float((text or "").split(",")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
