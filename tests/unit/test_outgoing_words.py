"""What is cut, waited, judged and hidden on the way out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.masking import excerpt, masked
from app.webhooks.cutting import Cutter
from app.webhooks.ladder import wait_after
from app.webhooks.verdict import judge

SECRET = 'Zm9v"YmFy/YmF6.cXV4'


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(60, 200))
def test_pages_hold_all_rows_in_order_and_are_never_too_large(lengths: list[int], room: int) -> None:
    cutter = Cutter(room)
    cutter.add(lengths[:10])
    cutter.add(lengths[10:])
    pages = cutter.pages()
    place = 0
    for first, rows in pages:
        assert first == place
        place += rows
        assert sum(lengths[first:place]) + max(rows - 1, 0) <= room
    assert place == len(lengths)
    assert all(rows for _, rows in pages) or pages == [(0, 0)]
    assert not cutter.oversized


def test_the_ladder_has_a_last_rung_and_jitter_only_lengthens() -> None:
    waits = (5.0, 300.0)
    assert wait_after(1, waits, uniform=lambda: 0.0) == 5
    assert wait_after(2, waits, uniform=lambda: 1.0) == 360
    assert wait_after(3, waits) is None
    assert wait_after(1, waits, 3600) == 3600
    assert wait_after(2, waits, 1, uniform=lambda: 0.0) == 300
    assert wait_after(1, ()) is None


@pytest.mark.parametrize(
    "said",
    [
        SECRET,
        json.dumps(SECRET),
        SECRET.replace("/", "\\/"),
        SECRET.replace('"', "%22").replace("/", "%2F"),
        SECRET[:9] + "\n   " + SECRET[9:],
        f'{{"first": "{SECRET[:10]}", "second": "{SECRET[10:]}"}}',
        "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(said: str) -> None:
    shown = masked(f"You sent {said} and no more.", [SECRET])
    assert "***" in shown
    assert shown.startswith("You sent ")
    assert shown.endswith(" and no more.")
    assert not any(SECRET[at : at + 8] in shown for at in range(len(SECRET) - 7))


@given(st.binary(max_size=3000))
def test_an_excerpt_is_short_and_fit_to_be_kept(content: bytes) -> None:
    shown = excerpt(content, [SECRET]) or ""
    assert len(shown) <= 1000
    assert "\x00" not in shown
    shown.encode()


def test_a_secret_at_the_cut_is_hidden_too() -> None:
    assert excerpt(b"x" * 990 + SECRET.encode() + b"y" * 9000, [SECRET]) == "x" * 990 + "***" + "y" * 7


def test_words_of_many_shapes_are_found() -> None:
    assert (judge(500, b'{"error": {"message": "inner"}}', runs_workflow=False).error or "").endswith("says: inner.")
    assert judge(500, b"<html>", runs_workflow=False).error == "Answered 500 (Internal Server Error)."
    assert judge(299, b"", runs_workflow=False).error is None
    assert judge(799, b"[]", runs_workflow=True).error == "Answered 799."
    assert "no workflow was started" in (judge(200, b"<html>", runs_workflow=True).error or "")
    assert judge(200, b'{"workflowExecutionId": "7d1f"}', runs_workflow=True).workflow_execution_id == "7d1f"
