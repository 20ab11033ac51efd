"""What a world is made from, handed to each of its tenants."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from app.demo.vendors.people import Person, mix, person
from app.demo.vendors.times import DAY_MS, day_ms


@dataclass(frozen=True, slots=True)
class Plan:
    """activity  share of the seats that are looked at on a weekday, 0 … 1; scales the number of sign-ons."""

    seed: int
    people: int
    applications: int
    days: int
    today: date
    now: Callable[[], datetime]
    activity: float = 1.0

    @property
    def first_day(self) -> date:
        return self.today - timedelta(days=self.days - 1)

    def human(self, number: int) -> Person:
        return person(self.seed, number)

    def created(self, number: int) -> int:
        """When the records of a user or an application were made, in epoch milliseconds: before the first day."""
        dice = mix(self.seed, number)
        last = day_ms(self.today) - (self.days + 30) * DAY_MS
        return last - dice % 700 * DAY_MS - (dice >> 16) % 40_000 * 1000

    def some(self, share: float, *salt: int) -> array[int]:
        """A sample of the users, at least one, in ascending order."""
        count = min(self.people, max(1, round(self.people * share)))
        return array("I", sorted(random.Random(mix(self.seed, *salt)).sample(range(self.people), count)))


def flat_seats(members: Sequence[Collection[int]]) -> tuple[array[int], array[int]]:
    """The users of each application as two arrays of equal length: application, user."""
    apps, users = array("H"), array("I")
    for app, numbers in enumerate(members):
        users.extend(numbers)
        apps.extend([app] * len(numbers))
    return apps, users
