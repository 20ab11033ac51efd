from __future__ import annotations

from datetime import date, timedelta

import pytest
from asyncpg import BitString
from hypothesis import given
from hypothesis import strategies as st

from app.activity.days import Span, calendar, dates, mark, masks, parse_window, place, window
from app.core.clock import days_between
from app.core.errors import InvalidInput

some_day = st.dates(min_value=date(2019, 1, 1), max_value=date(2033, 12, 31))


def text(bits: BitString) -> str:
    return bits.as_string().replace(" ", "")


def test_the_leftmost_bit_is_the_first_of_january() -> None:
    bits = text(mark([date(2026, 1, 1)])[2026])
    assert bits == "1" + "0" * 365


def test_the_last_of_december_is_bit_365_in_a_leap_year_and_364_in_others() -> None:
    assert place(date(2028, 12, 31)) == (2028, 365)
    assert place(date(2026, 12, 31)) == (2026, 364)


def test_a_window_is_the_days_that_end_with_today() -> None:
    assert window(1, date(2026, 3, 1)) == Span(date(2026, 3, 1), date(2026, 3, 1))
    assert window(30, date(2026, 3, 1)) == Span(date(2026, 1, 31), date(2026, 3, 1))


def test_a_window_over_new_year_has_a_mask_for_each_year() -> None:
    both = masks(window(4, date(2027, 1, 2)))
    assert {year: text(bits).count("1") for year, bits in both.items()} == {2026: 2, 2027: 2}
    assert text(both[2027]).startswith("110")


def test_the_longest_window_can_touch_three_years() -> None:
    span = window(400, date(2028, 1, 10))
    assert sorted(masks(span)) == [2026, 2027, 2028]


def test_an_empty_span_has_no_mask() -> None:
    assert masks(Span(date(2026, 1, 2), date(2026, 1, 1))) == {}


@given(some_day, st.integers(1, 400))
def test_a_mask_holds_each_date_of_its_span_and_no_other(last: date, days: int) -> None:
    span = window(days, last)
    around = Span(span.first - timedelta(days=400), span.last + timedelta(days=400))
    assert dates(masks(span), around) == days_between(span.first, span.last)


@given(st.sets(some_day, max_size=60))
def test_dates_come_back_as_they_were_marked(days: set[date]) -> None:
    assert dates(mark(days), Span(date(2019, 1, 1), date(2033, 12, 31))) == sorted(days)


@given(st.sets(some_day, max_size=60), some_day, some_day)
def test_only_dates_within_the_span_are_given(days: set[date], first: date, last: date) -> None:
    assert dates(mark(days), Span(first, last)) == sorted(day for day in days if first <= day <= last)


def test_a_day_with_use_is_active_also_where_it_is_not_covered() -> None:
    span = Span(date(2026, 5, 1), date(2026, 5, 3))
    days = calendar(span, active=[date(2026, 5, 1)], covered=[date(2026, 5, 2)])
    assert days == [(date(2026, 5, 1), "active"), (date(2026, 5, 2), "idle"), (date(2026, 5, 3), "unknown")]


@pytest.mark.parametrize(("word", "days"), [("1d", 1), ("30d", 30), ("365d", 365), ("400d", 400)])
def test_windows_are_written_in_days(word: str, days: int) -> None:
    span = parse_window(word, date(2026, 5, 1))
    assert (span.days, span.word) == (days, word)


@pytest.mark.parametrize("word", ["0d", "401d", "999d", "30", "d", "-1d", "1w", "1.5d", "030d", "٣d", "30d\n", ""])
def test_other_windows_are_refused_and_the_answer_says_what_to_type(word: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_window(word, date(2026, 5, 1))
    (error,) = refused.value.errors
    assert error.parameter == "window"
    assert "400d" in error.detail
