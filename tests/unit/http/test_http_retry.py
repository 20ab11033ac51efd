from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import httpx
import msgspec
import pytest

from app.http.answers import without_half_pairs
from app.http.retry import Patience, backoff, observed, told_wait
from tests.unit.http.http_servers import START


def wait(headers: dict[str, str], *, by_reset: bool = True) -> float | None:
    return told_wait(httpx.Headers(headers), START, by_reset=by_reset, uniform=lambda: 0.0)


def date(seconds: float) -> str:
    return format_datetime(START + timedelta(seconds=seconds), usegmt=True)


def epoch(seconds: float) -> str:
    return str(int(START.timestamp() + seconds))


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert wait({"Retry-After": "7"}) == 7
    assert wait({"Retry-After": "0"}) == 0
    assert wait({"Retry-After": date(30)}) == 30
    assert wait({"Retry-After": date(-30)}) == 0


def test_dates_are_taken_by_the_vendors_own_clock() -> None:
    assert wait({"Retry-After": date(630), "Date": date(600)}) == 30
    assert wait({"X-Rate-Limit-Reset": epoch(-580), "Date": date(-600)}) == 20


def test_retry_after_wins_over_the_reset_header() -> None:
    assert wait({"Retry-After": "3", "X-Rate-Limit-Reset": epoch(50)}) == 3


def test_the_reset_header_of_a_passing_failure_is_no_advice_to_wait() -> None:
    assert wait({"X-Rate-Limit-Reset": epoch(50)}, by_reset=False) is None


@pytest.mark.parametrize("text", ["", "soon", "-3", "nan", "inf", "1e400", "Sat, 99 Nov 2026"])
def test_unreadable_waits_are_no_waits(text: str) -> None:
    assert wait({"Retry-After": text, "X-Rate-Limit-Reset": text}) is None


def test_jitter_is_small_and_never_shortens_the_wait() -> None:
    longest = told_wait(httpx.Headers({"Retry-After": "60"}), START, uniform=lambda: 1.0)
    assert longest == 61


def test_backoff_grows_to_its_cap() -> None:
    assert [backoff(n, uniform=lambda: 1.0) for n in (1, 2, 3, 8, 9999)] == [0.25, 0.5, 1.0, 20.0, 20.0]
    assert backoff(5, uniform=lambda: 0.0) == 0


def limits(limit: str, remaining: str, reset: str, at: float = 0) -> httpx.Headers:
    names = {"X-Rate-Limit-Limit": limit, "X-Rate-Limit-Remaining": remaining, "X-Rate-Limit-Reset": reset}
    return httpx.Headers({**names, "Date": date(at)})


def test_limits_are_read_and_moved_to_our_clock() -> None:
    seen = observed(limits("600", "598", epoch(42)), START)
    assert seen is not None
    assert (seen.limit, seen.remaining, seen.resets_at) == (600, 598, START + timedelta(seconds=42))
    skewed = observed(limits("600", "598", epoch(342), at=300), START)
    assert skewed is not None
    assert skewed.resets_at == START + timedelta(seconds=42)


def test_all_readings_of_one_window_end_at_one_time_when_the_clocks_agree() -> None:
    ends = {observed(limits("60", "9", epoch(42)), START + timedelta(seconds=s)) for s in (0.01, 0.5, 0.99)}
    assert len(ends) == 1


def test_a_concurrency_violation_and_unreadable_limits_tell_nothing() -> None:
    assert observed(limits("0", "0", epoch(42)), START) is None
    assert observed(limits("many", "0", epoch(42)), START) is None
    assert observed(limits("60", "3", "1e300"), START) is None
    assert observed(httpx.Headers(), START) is None


def test_patience_counts_our_own_waits_and_the_time_of_failed_tries() -> None:
    patience = Patience(60, uniform=lambda: 1.0)
    waits = []
    while (w := patience.next_wait(None, spent_s=5)) is not None:
        waits.append(w)
    assert sum(waits) + 5 * len(waits) == pytest.approx(60, abs=5)


def test_patience_does_not_count_what_the_vendor_asked_for() -> None:
    patience = Patience(1, uniform=lambda: 0.5)
    assert [patience.next_wait(60) for _ in range(20)] == [60] * 20


def test_patience_ends_with_a_wait_above_a_quarter_of_an_hour() -> None:
    assert Patience(300).next_wait(900) == 900
    assert Patience(300).next_wait(901) is None


@pytest.mark.parametrize("told", [0.0, 1.0, 60.0])
def test_a_vendor_that_asks_to_wait_for_ever_ends_patience_too(told: float) -> None:
    patience = Patience(300)
    for _ in range(400):
        if patience.next_wait(told) is None:
            break
    else:
        pytest.fail("still patient")
    assert patience.attempts > 15


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb'"A\ud800B"', rb'"A\ufffdB"'),
        (rb'"A\uDC00"', rb'"A\ufffd"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"a \\ud800 path"', rb'"a \\ud800 path"'),
        (b'"plain"', b'"plain"'),
    ],
)
def test_half_a_pair_of_surrogates_becomes_the_replacement_character(sent: bytes, kept: bytes) -> None:
    assert without_half_pairs(sent) == kept
    msgspec.json.decode(kept)
