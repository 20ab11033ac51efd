"""The Okta organization of the simulated world: its people, applications, assignments and System Log."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from app.demo.vendors.okta_records import STATUSES, OktaRecords
from app.demo.vendors.people import mix
from app.demo.vendors.plan import Plan, flat_seats
from app.demo.vendors.roster import Record, Roster
from app.demo.vendors.signons import Event, Kind, SignOns, event_id
from app.demo.vendors.times import DAY_MS, to_ms, to_time
from app.demo.vendors.tokens import TokenBook

SCOPES = ("okta.users.read", "okta.apps.read", "okta.logs.read", "okta.roles.read")
_NEVER = frozenset({"STAGED", "PROVISIONED"})
_LEFT_DAYS_AGO = {"DEPROVISIONED": 5, "SUSPENDED": 3, "PASSWORD_EXPIRED": 8}


class OktaTenant:
    """Truth and mutators. User 0 is the owner of the API token, user 1 … 7 have one status each.

    roles    admin roles of the token's owner and of the service application, `type`s of the roles API.
    scopes   those granted to the service application.
    dpop     whether the service application insists on DPoP.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.records = OktaRecords(plan)
        self.roster = Roster(plan.people, self.records.user_ids, self._user)
        self.tokens = TokenBook(3600)
        self.roles = ["READ_ONLY_ADMIN"]
        self.scopes = set(SCOPES)
        self.dpop = False
        self._statuses = bytearray(self.records.first_status(n) for n in range(plan.people))
        self._applications = [self.records.application(n) for n in range(plan.applications + 2)]
        self._removed_applications: set[int] = set()
        self._seats: list[array[int]] = [plan.some(self._share(n), 11, n) for n in range(plan.applications + 2)]

    def _share(self, app: int) -> float:
        if app < 2:
            return 0.01 if app == 0 else 1.0
        return 0.9 if app == 2 else 0.02 + mix(self.plan.seed, app, 5) % 100 / 500

    def _user(self, number: int) -> Record:
        return self.records.user(number, self.status(number))

    @cached_property
    def log(self) -> SignOns:
        last = [self._last_day(n) for n in range(self.plan.people)]
        seats = flat_seats([[] if app < 2 else members for app, members in enumerate(self._seats)])
        plan = self.plan
        return SignOns(mix(plan.seed, 1), plan.first_day, plan.days, seats, last, plan.activity, plan.now)

    def _last_day(self, number: int) -> int:
        status = STATUSES[self._statuses[number]]
        return -1 if status in _NEVER else self.plan.days - 1 - _LEFT_DAYS_AGO.get(status, 0)

    # The truth

    @property
    def users(self) -> list[Record]:
        """Every user in every status, as the API writes them. Slow for large worlds."""
        return [self.roster.record(n) for n in self.roster.numbers()]

    @property
    def applications(self) -> list[Record]:
        """Every application in every status, Okta's own two first."""
        return [a for n, a in enumerate(self._applications) if n not in self._removed_applications]

    @property
    def assignments(self) -> set[tuple[str, str]]:
        """(application id, user id) of every seat that the API lists."""
        ids = self.roster.ids
        return {(a["id"], ids.encode(n)) for a in self.applications for n in self.seats(a["id"])}

    @property
    def uses(self) -> list[tuple[str, str, datetime, str]]:
        """(application id, user id, time, event uuid) of every successful sign-on so far, each once; those on
        applications that are not listed too.
        """
        events = {e.number: e for e in self.log.published(0, to_ms(self.plan.now()) + DAY_MS)}
        return [
            (self.event_app(e), self.roster.ids.encode(e.user), to_time(e.ms), self.event_id(e))
            for e in events.values()
            if e.kind in {"use", "unlisted"}
        ]

    def status(self, number: int) -> str:
        return STATUSES[self._statuses[number]]

    def seats(self, app_id: str, start: int = 0) -> Iterator[int]:
        """The numbers, from `start` on, of the users assigned to an application; Okta takes those of the
        deprovisioned away. Raises KeyError where no application has that id.
        """
        members = self._seats[self._application(app_id)]
        gone = STATUSES.index("DEPROVISIONED")
        listed = (members[i] for i in range(bisect_left(members, start), len(members)))
        return (n for n in listed if n in self.roster and self._statuses[n] != gone)

    def seat_record(self, app_id: str, number: int) -> Record:
        return self.records.app_user(self._application(app_id), number, self.status(number))

    def event_app(self, event: Event) -> str:
        return self.records.app_id(event.app if event.kind != "unlisted" else event.app + 10_000)

    def label(self, event: Event) -> str:
        """The label of the application that an event is about."""
        return "Not Listed" if event.kind == "unlisted" else str(self._applications[event.app]["label"])

    def event_id(self, event: Event) -> str:
        return event_id(self.plan.seed, event.number)

    # Changes

    def add_user(self) -> str:
        """A new ACTIVE user without any seat; gives the id."""
        self._statuses.append(STATUSES.index("ACTIVE"))
        return self.roster.ids.encode(self.roster.add())

    def remove_user(self, user_id: str) -> None:
        self.roster.remove(self.roster.number(user_id))

    def change_user(self, user_id: str, change: Record) -> None:
        """Lay members over a user's record: `{"profile": {"email": "new@example.com"}}`."""
        self.roster.change(self.roster.number(user_id), change)

    def set_status(self, user_id: str, status: str) -> None:
        self._statuses[self.roster.number(user_id)] = STATUSES.index(status)

    def assign(self, app_id: str, user_id: str) -> None:
        insort(self._seats[self._application(app_id)], self.roster.number(user_id))

    def unassign(self, app_id: str, user_id: str) -> None:
        self._seats[self._application(app_id)].remove(self.roster.number(user_id))

    def remove_application(self, app_id: str) -> None:
        self._removed_applications.add(self._application(app_id))

    def change_application(self, app_id: str, change: Record) -> None:
        self._applications[self._application(app_id)].update(change)

    def remove_role(self, role: str) -> None:
        self.roles.remove(role)

    def add_use(
        self,
        app_id: str,
        user_id: str,
        at: datetime,
        *,
        persisted: datetime | None = None,
        kind: Kind = "use",
    ) -> str:
        """A sign-on at `at`, written down now or at `persisted`: one that lies in the past is a late event. Gives
        the event's uuid.
        """
        app, user = self._application(app_id), self.roster.number(user_id)
        return self.event_id(self.log.add(app, user, at, persisted, kind))

    def _application(self, app_id: str) -> int:
        for number, application in enumerate(self._applications):
            if application["id"] == app_id and number not in self._removed_applications:
                return number
        raise KeyError(app_id)
