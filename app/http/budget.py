"""Our share of a vendor's quota: one small state for each bucket, and pure steps from one state to the next.

Times are epoch seconds. The steps know neither clock nor store, so the budget in memory and the one in PostgreSQL
keep the same rules.

A bucket whose quota the vendor tells by headers has windows. Unknown window: one request goes alone and its answer
tells the rest. Known window: we send while we have used less than our share and the vendor has more left than the
share that belongs to others. A bucket with a documented quota is paced evenly (GCRA) after a small burst.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from app.http.ports import Observed, Quota

LOST_AFTER_S = 5.0
POLL_S = 0.1
BURST_PERCENT = 20
# Two readings of one window's end differ by rounding and by the way of the answers, never by more than this.
SAME_WINDOW_S = 2.0
# A window is believed to last so long at most: Okta's last a minute, and nobody may ask before it ends.
LONGEST_WINDOW_S = 900.0


@dataclass(frozen=True, slots=True)
class State:
    """Where a bucket stands. Every member is a JSON scalar.

    limit          requests in a window as last told, kept from window to window; None before the first word.
    remaining      the least that was told to be left in this window, None before its first word.
    resets_at      end of the window, None while it is unknown.
    used           requests granted in this window.
    pending        those of them whose answer has not been seen yet.
    probe_at       when the lone request of an unknown window was granted, None when none is under way.
    free_until     a vendor that tells no limits at all is not held back before this.
    blocked_until  the vendor said to wait.
    paced_at       GCRA: the time at which everything granted so far is paid for at the steady rate.
    """

    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    used: int = 0
    pending: int = 0
    probe_at: float | None = None
    free_until: float = 0.0
    blocked_until: float = 0.0
    paced_at: float = 0.0

    def as_dict(self) -> dict[str, int | float | None]:
        return asdict(self)


def take(state: State, now: float, quota: Quota | None, headroom_percent: int) -> tuple[State, float]:
    """Ask for one request: the next state, and 0.0 where it is granted, else the seconds after which to ask again."""
    if now < state.blocked_until:
        return state, state.blocked_until - now
    if quota is not None:
        return _take_paced(state, now, quota, headroom_percent)
    state = _rolled(state, now)
    if now < state.free_until:
        return state, 0.0
    if state.resets_at is None:
        return _take_alone(state, now)
    if not _has_room(state, headroom_percent):
        return state, state.resets_at - now
    return replace(state, used=state.used + 1, pending=state.pending + 1), 0.0


def observe(state: State, now: float, observed: Observed) -> State:
    """What an answer said. A `limit` of 0 stands for an answer without a word about limits: it ends the wait for the
    lone request, and a vendor that has never told one is not held back before `resets_at`.
    """
    state = replace(_rolled(state, now), pending=max(0, state.pending - 1), probe_at=None)
    resets_at = min(observed.resets_at.timestamp(), now + LONGEST_WINDOW_S)
    if observed.limit <= 0:
        return replace(state, free_until=resets_at) if state.limit is None else state
    state = replace(state, limit=observed.limit, free_until=0.0)
    if resets_at <= now or (state.resets_at is not None and resets_at < state.resets_at - SAME_WINDOW_S):
        return state
    if state.resets_at is not None and resets_at > state.resets_at + SAME_WINDOW_S:
        state = replace(state, used=state.pending, remaining=None, resets_at=None)
    return replace(
        state,
        remaining=min(observed.remaining, observed.remaining if state.remaining is None else state.remaining),
        resets_at=max(resets_at, state.resets_at or 0.0),
    )


def block(state: State, until: float) -> State:
    """Nobody sends before `until`; an earlier time does not shorten a longer wait."""
    return replace(state, blocked_until=max(state.blocked_until, until))


def _rolled(state: State, now: float) -> State:
    """The state at `now`: once its end has passed, a window is unknown again. Requests still under way count as used
    in the new one, for nobody knows in which the vendor sees them.
    """
    if state.resets_at is None or now < state.resets_at:
        return state
    return replace(state, remaining=None, resets_at=None, used=state.pending, pending=0, probe_at=None)


def _take_alone(state: State, now: float) -> tuple[State, float]:
    if state.probe_at is not None and now < state.probe_at + LOST_AFTER_S:
        return state, min(POLL_S, state.probe_at + LOST_AFTER_S - now)
    return replace(state, probe_at=now, used=state.used + 1, pending=state.pending + 1), 0.0


def _has_room(state: State, headroom_percent: int) -> bool:
    limit, remaining = state.limit or 0, state.remaining or 0
    left = remaining - state.pending
    if state.used == 0:
        return left > 0
    ours = limit * (100 - headroom_percent) // 100
    others = -(-limit * headroom_percent // 100)
    return state.used < ours and left - 1 >= others


def _take_paced(state: State, now: float, quota: Quota, headroom_percent: int) -> tuple[State, float]:
    allowed = max(1, quota.requests * (100 - headroom_percent) // 100)
    burst = max(1, allowed * BURST_PERCENT // 100)
    interval = quota.per_s / max(1, allowed - burst)
    paced_at = max(state.paced_at, now)
    wait = paced_at - (burst - 1) * interval - now
    # Epoch seconds as doubles are exact to less than a microsecond; below that a wait would only spin.
    if wait > 1e-6:
        return state, wait
    return replace(state, paced_at=paced_at + interval), 0.0


class MemoryBudget:
    """The budget of one process, for tests and one-off checks.

    headroom_percent  share of each quota that is left to the vendor's other users.
    """

    def __init__(self, headroom_percent: int, *, now: Callable[[], float] = time.time) -> None:
        self._headroom_percent = headroom_percent
        self._now = now
        self._states: defaultdict[str, State] = defaultdict(State)

    async def take(self, bucket: str, quota: Quota | None) -> float:
        self._states[bucket], wait = take(self._states[bucket], self._now(), quota, self._headroom_percent)
        return wait

    async def observe(self, bucket: str, observed: Observed) -> None:
        self._states[bucket] = observe(self._states[bucket], self._now(), observed)

    async def block(self, bucket: str, until: datetime) -> None:
        self._states[bucket] = block(self._states[bucket], until.timestamp())
