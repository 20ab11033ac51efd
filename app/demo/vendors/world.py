"""A small company invented from a seed: the same one in every process, seen through its vendors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from app.demo.vendors.ironclad_tenant import ClickwrapTenant
from app.demo.vendors.okta_tenant import OktaTenant
from app.demo.vendors.pingone_tenant import PingOneTenant
from app.demo.vendors.plan import Plan
from app.demo.vendors.sailpoint_tenant import IscTenant


class World:
    """What is true at each vendor, as plain data, and the means to change it between two syncs.

    people        users of Okta and of PingOne each (half of them are the same humans); Clickwrap has a fifth.
    applications  listed at Okta and at PingOne each, beside the vendors' own.
    days          of sign-ons, today included. Nothing lies in the future: today's come as the day goes on.
    today         a fixed date for worlds that stand still (at 18:00 UTC of that day); None for the real time.
    clock         where the time comes from, in place of `today`.
    activity      share of the seats that are looked at on a weekday; scales the number of sign-ons.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        people: int = 1000,
        applications: int = 40,
        days: int = 90,
        today: date | None = None,
        clock: Callable[[], datetime] | None = None,
        activity: float = 1.0,
    ) -> None:
        self.clock = clock or _clock(today)
        self.plan = Plan(seed, people, applications, days, self.now().date(), self.now, activity)
        self.okta = OktaTenant(self.plan)
        self.pingone = PingOneTenant(self.plan)
        self.ironclad = ClickwrapTenant(self.plan)
        self.sailpoint = IscTenant(self.plan, self.okta)

    def now(self) -> datetime:
        return self.clock().astimezone(UTC)


def _clock(today: date | None) -> Callable[[], datetime]:
    if today is None:
        return lambda: datetime.now(UTC)
    moment = datetime(today.year, today.month, today.day, 18, tzinfo=UTC)
    return lambda: moment
