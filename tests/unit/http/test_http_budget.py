from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.http.budget import LONGEST_WINDOW_S, MemoryBudget, State, block, observe, take
from app.http.ports import Observed, Quota
from tests.unit.http.http_servers import START, FakeTime

T = START.timestamp()


def told(limit: int, remaining: int, at: float) -> Observed:
    return Observed(limit, remaining, datetime.fromtimestamp(T + at, UTC))


def granted(state: State, at: float, headroom: int = 50) -> tuple[State, bool]:
    state, wait = take(state, T + at, None, headroom)
    return state, wait == 0


def burst(state: State, at: float, headroom: int = 50) -> tuple[State, int]:
    """How many requests are granted at one moment."""
    count = 0
    while count < 10_000:
        state, yes = granted(state, at, headroom)
        if not yes:
            break
        count += 1
    return state, count


def known(limit: int, remaining: int, headroom: int = 50) -> State:
    state, _ = granted(State(), 0, headroom)
    return observe(state, T, told(limit, remaining, 60))


def test_the_first_request_of_a_window_goes_alone() -> None:
    state, first = granted(State(), 0)
    state, second = granted(state, 0.01)
    assert (first, second) == (True, False)
    state = observe(state, T + 1, told(100, 99, 60))
    assert granted(state, 1)[1]


def test_a_lost_first_request_holds_the_others_for_five_seconds() -> None:
    state, _ = granted(State(), 0)
    assert not granted(state, 4.9)[1]
    state, again = granted(state, 5)
    assert again
    assert not granted(state, 5.1)[1]


def test_half_of_a_window_is_left_to_the_others() -> None:
    state, more = burst(known(100, 99), 0)
    assert more == 49
    _, wait = take(state, T + 10, None, 50)
    assert wait == 50


def test_what_others_used_counts_too() -> None:
    assert burst(known(100, 60), 0)[1] == 10
    assert burst(known(100, 50), 0)[1] == 0


def test_without_headroom_all_is_ours() -> None:
    assert burst(known(100, 99, 0), 0, 0)[1] == 99


def test_a_tiny_quota_still_gives_one_request_each_window() -> None:
    state = known(1, 0)
    assert burst(state, 30)[1] == 0
    assert burst(state, 61)[1] == 1


def test_a_window_that_is_told_to_last_for_ever_ends_all_the_same() -> None:
    state, _ = granted(State(), 0)
    state = observe(state, T, told(600, 0, 300 * 86_400))
    _, wait = take(state, T + 1, None, 50)
    assert 0 < wait <= LONGEST_WINDOW_S


def test_after_its_end_a_window_begins_unknown() -> None:
    state, _ = burst(known(100, 99), 0)
    for _ in range(49):
        state = observe(state, T + 1, told(100, 50, 60))
    state, count = burst(state, 60)
    assert count == 1
    state = observe(state, T + 60.1, told(100, 99, 120))
    assert burst(state, 61)[1] == 49


def test_requests_still_under_way_at_the_end_count_in_the_next_window() -> None:
    state, _ = burst(known(100, 99), 0)
    state, _ = granted(state, 60)
    state = observe(state, T + 60.1, told(100, 50, 120))
    assert burst(state, 61)[1] == 0


def test_answers_that_come_late_or_out_of_order_free_nothing() -> None:
    state, _ = burst(known(100, 99), 0)
    state = observe(state, T + 1, told(100, 60, 60))
    state = observe(state, T + 1, told(100, 90, 60))
    assert state.remaining == 60
    state, _ = granted(state, 60)
    state = observe(state, T + 60.1, told(100, 99, 120))
    assert observe(state, T + 60.2, told(100, 10, 60)).remaining == 99


def test_a_vendor_without_a_word_on_limits_is_not_held_back() -> None:
    state, _ = granted(State(), 0)
    state = observe(state, T, Observed(0, 0, START + timedelta(seconds=60)))
    assert burst(state, 1)[1] == 10_000


def test_a_page_without_limits_does_not_open_a_bucket_that_has_them() -> None:
    state, _ = granted(known(100, 99), 61)
    state = observe(state, T + 61, Observed(0, 0, START + timedelta(seconds=121)))
    assert burst(state, 62)[1] == 1


def test_a_block_holds_everybody_and_is_never_shortened() -> None:
    state = block(block(known(100, 99), T + 30), T + 10)
    assert take(state, T, None, 50)[1] == 30
    assert take(state, T, Quota(10, 1), 50)[1] == 30
    assert granted(state, 30)[1]


def test_a_state_is_a_flat_row_of_json_scalars() -> None:
    state = block(known(100, 99), T + 30)
    assert State(**json.loads(json.dumps(state.as_dict()))) == state


@settings(max_examples=60, deadline=None)
@given(
    requests=st.integers(1, 60),
    per_s=st.floats(0.5, 60),
    headroom=st.integers(0, 95),
    gaps=st.lists(st.floats(0, 5), max_size=150),
)
def test_no_span_ever_holds_more_than_our_share_of_a_documented_quota(
    requests: int, per_s: float, headroom: int, gaps: list[float]
) -> None:
    state, at, sent = State(), T, []
    for gap in gaps:
        at += gap
        state, wait = take(state, at, Quota(requests, per_s), headroom)
        if wait:
            at += wait
            state, wait = take(state, at, Quota(requests, per_s), headroom)
        assert wait == 0
        sent.append(at)
    share = max(1, requests * (100 - headroom) // 100)
    for i, first in enumerate(sent):
        assert sum(1 for t in sent[i:] if t < first + per_s - 1e-4) <= share


def test_a_documented_quota_is_nearly_used_up() -> None:
    state, at, sent = State(), T, 0
    while at < T + 60:
        state, wait = take(state, at, Quota(10, 1), 50)
        sent += wait == 0
        at += wait
    assert 220 <= sent <= 300


@pytest.mark.parametrize("headroom", [0, 50, 90])
async def test_a_vendor_with_windows_keeps_its_share_over_an_hour(headroom: int) -> None:
    time, limit = FakeTime(), 40
    budget = MemoryBudget(headroom, now=time.epoch)
    windows: dict[int, int] = {}
    for _ in range(4000):
        if wait := await budget.take("users", None):
            await time.sleep(wait)
            continue
        number = int(time.epoch()) // 60
        windows[number] = windows.get(number, 0) + 1
        reset = datetime.fromtimestamp((number + 1) * 60, UTC)
        await time.sleep(0.05)
        await budget.observe("users", Observed(limit, limit - windows[number], reset))
    assert len(windows) > 50
    assert max(windows.values()) == limit * (100 - headroom) // 100


async def test_buckets_do_not_share() -> None:
    budget = MemoryBudget(50, now=FakeTime().epoch)
    await budget.block("logs", START + timedelta(seconds=5))
    assert await budget.take("logs", None) == 5
    assert await budget.take("users", None) == 0
