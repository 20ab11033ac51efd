"""The sign-ons of one tenant, day by day: invented when asked for, plus those that a test adds.

Weekdays are heavier than weekends; a seat is never used, rarely, now and then or daily, by its number. Each day that
has sign-ons also has some that are no use of a listed application: failed ones, ones without a target, on applications
that are not listed, other events, and an event that comes twice.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from app.demo.vendors.people import mix
from app.demo.vendors.times import DAY_MS, day_ms, to_ms

Kind = Literal["use", "failure", "unlisted", "no_target", "other"]
ODDITIES: tuple[Kind, ...] = ("failure", "unlisted", "no_target", "other")

_LATE = 1 << 60
_WEIGHTS = (0.0, 0.0, 0.05, 0.05, 0.35, 0.35, 0.35, 0.9, 0.9, 0.9)
_WEEKEND = 0.1
_KEPT_DAYS = 8


class Event(NamedTuple):
    """ms, persisted: epoch milliseconds of when it happened and of when the vendor wrote it down. `number` makes the
    event's id (two events of one number are the same one, told twice); `app` and `user` are numbers of the tenant.
    """

    ms: int
    persisted: int
    serial: int
    number: int
    app: int
    user: int
    kind: Kind


def event_id(salt: int, number: int) -> str:
    digits = f"{mix(salt, number):016x}{number:016x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


class SignOns:
    """The log of one tenant.

    seats      two arrays of equal length: the application and the user of each seat that can be used.
    last_days  for each user the last day (0 is `first_day`) on which they sign on, -1 for never.
    activity   share of the seats that are looked at on a weekday, 0 … 1.
    """

    def __init__(
        self,
        salt: int,
        first_day: date,
        days: int,
        seats: tuple[array[int], array[int]],
        last_days: Sequence[int],
        activity: float,
        now: Callable[[], datetime],
    ) -> None:
        self._salt = salt
        self._first = first_day
        self._start = day_ms(first_day)
        self._days = days
        self._apps, self._users = seats
        self._last_days = last_days
        self._activity = activity
        self._now = now
        self._late: list[Event] = []
        self._cache: OrderedDict[int, list[Event]] = OrderedDict()

    def add(self, app: int, user: int, at: datetime, persisted: datetime | None, kind: Kind) -> Event:
        """Write an event down now (or at `persisted`), whenever it happened."""
        written = to_ms(persisted or self._now())
        position = len(self._late)
        event = Event(to_ms(at), written, _LATE + position, (1 << 56) + position, app, user, kind)
        self._late.append(event)
        return event

    def published(self, since: int, until: int, after: tuple[int, int] | None = None) -> Iterator[Event]:
        """Events that happened from `since` up to and without `until`, by time; `after` is the key (ms, serial) of
        the last one seen.
        """
        visible = to_ms(self._now())
        key = after or (since, -1)
        for day in self._span(min(since, key[0]), until):
            events = self._day_with(day, [e for e in self._late if self._day_of(e.ms) == day], published_key)
            for event in events[bisect_right(events, key, key=published_key) :]:
                if event.ms >= until:
                    return
                if event.persisted <= visible:
                    yield event

    def published_newest_first(self, since: int, until: int, after: tuple[int, int] | None = None) -> Iterator[Event]:
        visible = to_ms(self._now())
        key = after or (until, -1)
        for day in reversed(self._span(since, until)):
            events = self._day_with(day, [e for e in self._late if self._day_of(e.ms) == day], published_key)
            for event in reversed(events[: bisect_left(events, key, key=published_key)]):
                if event.ms < since:
                    return
                if event.persisted <= visible:
                    yield event

    def persisted(self, since: int, after: tuple[int, int] | None = None) -> Iterator[Event]:
        """Events written down from `since` on, in the order of writing; `after` is the key (persisted, serial)."""
        visible = to_ms(self._now())
        key = after or (since, -1)
        for day in self._span(key[0], visible + 1):
            events = self._day_with(day, [e for e in self._late if self._day_of(e.persisted) == day], persisted_key)
            for event in events[bisect_right(events, key, key=persisted_key) :]:
                if event.persisted > visible:
                    return
                yield event

    def _day_of(self, ms: int) -> int:
        return (ms - self._start) // DAY_MS

    def _span(self, first_ms: int, last_ms: int) -> range:
        """The days that may hold events between two times; late events may lie outside the invented days."""
        lowest = min([0, *(self._day_of(e.ms) for e in self._late)])
        highest = max([self._days - 1, *(self._day_of(e.persisted) for e in self._late)])
        return range(max(self._day_of(first_ms), lowest), min(self._day_of(last_ms), highest) + 1)

    def _day_with(self, day: int, late: list[Event], key: Callable[[Event], tuple[int, int]]) -> list[Event]:
        events = self._day(day) if 0 <= day < self._days else []
        return sorted([*events, *late], key=key) if late else events

    def _day(self, day: int) -> list[Event]:
        if day not in self._cache:
            self._cache[day] = self._invent(day)
            while len(self._cache) > _KEPT_DAYS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(day)
        return self._cache[day]

    def _invent(self, day: int) -> list[Event]:
        rng = random.Random(mix(self._salt, day))
        start = self._start + day * DAY_MS
        drawn: list[tuple[int, int, int, Kind]] = []
        for seat in self._looked_at(day, rng):
            user = self._users[seat]
            if day <= self._last_days[user] and rng.random() < _WEIGHTS[mix(self._salt, seat) % 10]:
                app = self._apps[seat]
                drawn.extend((_time(start, rng), app, user, "use") for _ in range(rng.choice((1, 1, 2, 3))))
        return _numbered(day, drawn + _odd(drawn, start, rng), rng)

    def _looked_at(self, day: int, rng: random.Random) -> Sequence[int]:
        seats = range(len(self._users))
        weekend = (self._first + timedelta(days=day)).weekday() >= 5
        share = self._activity * (_WEEKEND if weekend else 1.0)
        return seats if share >= 1 else rng.sample(seats, round(len(seats) * share))


def published_key(event: Event) -> tuple[int, int]:
    return event.ms, event.serial


def persisted_key(event: Event) -> tuple[int, int]:
    return event.persisted, event.serial


def _time(start: int, rng: random.Random) -> int:
    return start + int((0.2 + 0.79 * rng.random()) * DAY_MS)


def _odd(drawn: list[tuple[int, int, int, Kind]], start: int, rng: random.Random) -> list[tuple[int, int, int, Kind]]:
    each = max(1, len(drawn) // 60) if drawn else 0
    odd: list[tuple[int, int, int, Kind]] = []
    for kind in ODDITIES:
        for _, app, user, _ in rng.choices(drawn, k=each) if each else ():
            odd.append((_time(start, rng), app, user, kind))
    return odd


def _numbered(day: int, drawn: list[tuple[int, int, int, Kind]], rng: random.Random) -> list[Event]:
    """In order of time, each with its number, about one in a hundred twice."""
    drawn.sort()
    twice = {rng.randrange(len(drawn)) for _ in range(max(1, len(drawn) // 100))} if drawn else set()
    events: list[Event] = []
    for position, (ms, app, user, kind) in enumerate(drawn):
        for _ in range(2 if position in twice else 1):
            serial = (day << 32) + len(events)
            events.append(Event(ms, ms, serial, (day << 32) + position, app, user, kind))
    return events
