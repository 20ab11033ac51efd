from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core.schedule import next_fire, passed_fires, schedule_errors

INSTANCE = UUID("0192f0c1-7a3e-7cc4-9b1d-3f1f6a0c1111")


def fires(schedule: dict[str, Any], after: str, count: int) -> list[str]:
    moment = datetime.fromisoformat(after)
    found = []
    for _ in range(count):
        fire = next_fire(schedule, INSTANCE, moment)
        assert fire is not None
        assert fire > moment
        found.append(fire.strftime("%Y-%m-%dT%H:%MZ"))
        moment = fire
    return found


def berlin(cron: str) -> dict[str, Any]:
    return {"cron": cron, "timezone": "Europe/Berlin"}


def test_without_a_schedule_nothing_is_due() -> None:
    assert next_fire(None, INSTANCE, datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_every_day_means_exactly_a_day_apart() -> None:
    first, second, third = (datetime.fromisoformat(f) for f in fires({"every": "24h"}, "2026-01-01T00:00:00Z", 3))
    assert second - first == third - second == timedelta(days=1)


@given(
    st.uuids(),
    st.floats(1.6e9, 2.2e9),
    st.sampled_from(["1m", "90m", "24h", "31d"]),
)
def test_the_phase_is_the_instances_own_and_does_not_depend_on_when_it_is_asked(
    instance: UUID, timestamp: float, every: str
) -> None:
    after = datetime.fromtimestamp(timestamp, UTC)
    fire = next_fire({"every": every}, instance, after)
    assert fire is not None
    assert fire > after
    assert next_fire({"every": every}, instance, fire - timedelta(microseconds=1)) == fire
    later = next_fire({"every": every}, instance, fire)
    assert later is not None
    assert next_fire({"every": every}, instance, later - (later - fire) / 2) == later


def test_instances_are_spread_over_the_day() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    hours = {fire.hour for n in range(200) if (fire := next_fire({"every": "24h"}, UUID(int=n), after))}
    assert len(hours) == 24


def test_cron_is_local_time() -> None:
    assert fires(berlin("30 2 * * *"), "2026-01-10T00:00:00Z", 1) == ["2026-01-10T01:30Z"]
    assert fires(berlin("30 2 * * *"), "2026-07-10T00:00:00Z", 1) == ["2026-07-10T00:30Z"]
    assert fires({"cron": "30 2 * * *"}, "2026-07-10T00:00:00Z", 1) == ["2026-07-10T02:30Z"]


def test_a_skipped_local_time_fires_once_within_the_hour_after_the_change() -> None:
    # 29 March 2026, Berlin: 02:00 becomes 03:00 at 01:00 UTC.
    assert fires(berlin("30 2 * * *"), "2026-03-28T12:00:00Z", 2) == ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]


def test_several_skipped_local_times_fire_once_together() -> None:
    assert fires(berlin("*/15 * * * *"), "2026-03-29T00:40:00Z", 3) == [
        "2026-03-29T00:45Z", "2026-03-29T01:00Z", "2026-03-29T01:15Z",
    ]  # fmt: skip


def test_a_doubled_local_time_fires_the_first_time_only() -> None:
    # 25 October 2026, Berlin: 03:00 becomes 02:00 at 01:00 UTC.
    assert fires(berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2) == ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]
    assert fires(berlin("*/30 * * * *"), "2026-10-25T00:10:00Z", 3) == [
        "2026-10-25T00:30Z", "2026-10-25T02:00Z", "2026-10-25T02:30Z",
    ]  # fmt: skip


def test_asked_within_the_doubled_hour_nothing_fires_again() -> None:
    assert fires(berlin("30 2 * * *"), "2026-10-25T01:10:00Z", 1) == ["2026-10-26T01:30Z"]


def test_clock_changes_of_the_south_and_of_half_hours() -> None:
    # Lord Howe Island moves by half an hour: 4 October 2026, 02:00 becomes 02:30 at 15:30 UTC of the day before.
    schedule = {"cron": "15 2 * * *", "timezone": "Australia/Lord_Howe"}
    assert fires(schedule, "2026-10-03T12:00:00Z", 2) == ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun"])
def test_zero_and_seven_are_sunday(sunday: str) -> None:
    assert fires({"cron": f"0 6 * * {sunday}"}, "2026-11-22T12:00:00Z", 1) == ["2026-11-29T06:00Z"]


def test_one_is_monday() -> None:
    assert fires({"cron": "0 6 * * 1-5"}, "2026-11-21T12:00:00Z", 2) == ["2026-11-23T06:00Z", "2026-11-24T06:00Z"]


@pytest.mark.parametrize(
    "good",
    [
        None,
        {"every": "1m"},
        {"every": "24h"},
        {"every": "31d"},
        {"every": "744h"},
        {"cron": "30 2 * * *"},
        {"cron": "0 0 29 2 *", "timezone": "America/New_York"},
        {"cron": "0 0 1 * *", "timezone": None},
    ],
)
def test_good_schedules(good: dict[str, Any] | None) -> None:
    assert schedule_errors(good) == []


@pytest.mark.parametrize(
    ("bad", "pointer"),
    [
        ({}, "#/schedule"),
        ("24h", "#/schedule"),
        ({"every": "24h", "cron": "* * * * *"}, "#/schedule"),
        ({"every": "0m"}, "#/schedule/every"),
        ({"every": "32d"}, "#/schedule/every"),
        ({"every": "745h"}, "#/schedule/every"),
        ({"every": "24"}, "#/schedule/every"),
        ({"every": "1h30m"}, "#/schedule/every"),
        ({"every": 24}, "#/schedule/every"),
        ({"every": "24h", "timezone": "UTC"}, "#/schedule/timezone"),
        ({"cron": "30 2 * *"}, "#/schedule/cron"),
        ({"cron": "0 30 2 * * *"}, "#/schedule/cron"),
        ({"cron": "@daily"}, "#/schedule/cron"),
        ({"cron": "61 2 * * *"}, "#/schedule/cron"),
        ({"cron": "0 0 30 2 *"}, "#/schedule/cron"),
        ({"cron": "0 0 31 4,6 *"}, "#/schedule/cron"),
        ({"cron": "0 2 * * *", "timezone": "Europe/Bonn"}, "#/schedule/timezone"),
        ({"cron": "0 2 * * *", "timezone": "../../etc/passwd"}, "#/schedule/timezone"),
        ({"cron": "0 2 * * *", "timezone": "Europe"}, "#/schedule/timezone"),
        ({"cron": "0 2 * * *", "timezone": "localtime"}, "#/schedule/timezone"),
        ({"cron": "0 2 * * *", "timezone": 1}, "#/schedule/timezone"),
    ],
)
def test_bad_schedules_are_named(bad: object, pointer: str) -> None:
    assert [error.pointer for error in schedule_errors(bad)] == [pointer]


def walked(schedule: dict[str, Any], due: datetime, at: datetime) -> tuple[int, datetime]:
    """How many fires there are from `due` until `at`, and the last of them, one after the other."""
    count, latest = 1, due
    while (fire := next_fire(schedule, INSTANCE, latest)) is not None and fire <= at:
        count, latest = count + 1, fire
    return count, latest


CRONS = [
    "30 2 * * *", "0 */2 * * *", "*/17 1-3 * * *", "15,45 0,23 * * *", "0 3 * * SUN", "5 2 1,15 * 1", "0 0 * * *",
    "59 23 28-31 * *", "7 * 31 * *",
]  # fmt: skip
# Changes of an hour, of half an hour, at midnight, and a day that never was (Apia, 30 December 2011).
CHANGES = [
    ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"), ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"), ("Asia/Beirut", "2026-03-29"), ("America/Havana", "2026-11-01"),
    ("Pacific/Apia", "2011-12-30"), ("UTC", "2026-01-31"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@settings(deadline=None)
@example("0 0 * * *", -3 * 86400, 8 * 86400)
@given(st.sampled_from(CRONS), st.integers(-6 * 86400, 86400), st.integers(0, 12 * 86400))
def test_passed_fires_are_counted_as_if_each_had_been_looked_at(
    zone: str, change: str, cron: str, begin_s: int, for_s: int
) -> None:
    schedule = {"cron": cron, "timezone": zone}
    due = next_fire(schedule, INSTANCE, datetime.fromisoformat(change).replace(tzinfo=UTC) + timedelta(seconds=begin_s))
    assert due is not None
    at = due + timedelta(seconds=for_s)
    passed = passed_fires(schedule, INSTANCE, due, at)
    assert (passed.first, passed.count, passed.latest) == (due, *walked(schedule, due, at))


@given(st.uuids(), st.sampled_from(["1m", "90m", "24h", "31d"]), st.integers(0, 40), st.floats(0, 0.99))
def test_passed_turns_are_counted_as_if_each_had_been_looked_at(
    instance: UUID, every: str, turns: int, part: float
) -> None:
    schedule = {"every": every}
    due = next_fire(schedule, instance, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=part))
    assert due is not None
    following = next_fire(schedule, instance, due)
    assert following is not None
    passed = passed_fires(schedule, instance, due, due + (turns + part) * (following - due))
    assert (passed.first, passed.count) == (due, 1 + turns)
    assert passed.latest == due + turns * (following - due)


def test_years_of_fires_are_all_counted() -> None:
    due, at = datetime(2020, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)
    minutes = (at - due) // timedelta(minutes=1)
    assert passed_fires({"cron": "* * * * *"}, INSTANCE, due, at).count == 1 + minutes
    # The hour that each of six autumns shows a second time has no fires then.
    assert passed_fires(berlin("* * * * *"), INSTANCE, due, at).count == 1 + minutes - 6 * 60
