"""The PingOne environment of the simulated world: people, groups, applications and their rules, audit activities."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from app.demo.vendors.people import mix
from app.demo.vendors.pingone_records import POPULATIONS, PingOneRecords
from app.demo.vendors.plan import Plan, flat_seats
from app.demo.vendors.roster import Record, Roster
from app.demo.vendors.signons import Event, Kind, SignOns, event_id
from app.demo.vendors.times import DAY_MS, to_ms, to_time
from app.demo.vendors.tokens import TokenBook

ROLES = (
    "Client Application Developer",
    "Configuration Read-Only Admin",
    "Environment Admin",
    "Identity Data Admin",
    "Identity Data Read-Only Admin",
    "Organization Admin",
)


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """`scope` is the id of what the role reaches, `scope_type` ORGANIZATION, ENVIRONMENT or POPULATION."""

    role: str
    scope_type: str
    scope: str


class PingOneTenant:
    """Truth and mutators. roles: what the worker application has been given."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.records = PingOneRecords(plan)
        self.roster = Roster(plan.people, self.records.user_ids, self.records.user)
        self.tokens = TokenBook(3600)
        self.roles = [
            RoleAssignment(name, "ENVIRONMENT", self.records.environment)
            for name in ("Client Application Developer", "Environment Admin", "Identity Data Admin")
        ]
        count = max(4, plan.applications // 2)
        self.groups = [self.records.group(n) for n in range(count)]
        self._members = {
            group["id"]: plan.some(0.04 + mix(plan.seed, n, 21) % 100 / 400, 22, n)
            for n, group in enumerate(self.groups)
        }
        self._applications = self.records.applications(self.groups)

    @cached_property
    def log(self) -> SignOns:
        plan, last = self.plan, self.plan.days - 1
        seats = flat_seats([self._users_of(n) for n in range(len(self._applications))])
        return SignOns(
            mix(plan.seed, 31), plan.first_day, plan.days, seats, [last] * plan.people, plan.activity, plan.now
        )

    def _users_of(self, app: int) -> array[int]:
        """Those who sign on to an application: its entitled, some of all where it is open, a few administrators."""
        if self._applications[app]["type"] in {"WORKER", "SERVICE"}:
            return array("I")
        rule = self._applications[app].get("accessControl", {})
        if "group" in rule:
            return array("I", sorted(self._entitled(rule["group"])))
        return self.plan.some(0.005 if "role" in rule else 0.3, 23, app)

    def _entitled(self, rule: Record) -> set[int]:
        members = [set(self._members.get(group["id"], ())) for group in rule["groups"]]
        return set.intersection(*members) if rule["type"] == "ALL_GROUPS" else set.union(*members)

    # The truth

    @property
    def users(self) -> list[Record]:
        """Every user as the API writes them. Slow for large worlds."""
        return [self.roster.record(n) for n in self.roster.numbers()]

    @property
    def applications(self) -> list[Record]:
        return list(self._applications)

    @property
    def memberships(self) -> set[tuple[str, str]]:
        """(group id, user id)."""
        return {(g["id"], self.roster.ids.encode(n)) for g in self.groups for n in self.members(g["id"])}

    @property
    def assignments(self) -> set[tuple[str, str]]:
        """(application id, user id) of all who are entitled by a group rule; open applications are not among them."""
        return {
            (app["id"], self.roster.ids.encode(n))
            for app in self._applications
            if "group" in app.get("accessControl", {})
            for n in self._entitled(app["accessControl"]["group"])
            if n in self.roster
        }

    @property
    def uses(self) -> list[tuple[str, str, datetime, str]]:
        """(application id, user id, time, activity id) of every successful sign-on so far, each once; those on
        applications that are not listed too, and those older than the 14 days that the API gives.
        """
        events = {e.number: e for e in self.log.published(0, to_ms(self.plan.now()) + DAY_MS)}
        return [
            (self.event_app(e), self.roster.ids.encode(e.user), to_time(e.ms), self.event_id(e))
            for e in events.values()
            if e.kind in {"use", "unlisted"}
        ]

    def members(self, group_id: str, start: int = 0) -> Iterator[int]:
        """The numbers, from `start` on, of a group's members; none where there is no such group."""
        members = self._members.get(group_id, array("I"))
        listed = (members[i] for i in range(bisect_left(members, start), len(members)))
        return (n for n in listed if n in self.roster)

    def has_role(self, *names: str) -> bool:
        return any(assignment.role in names for assignment in self.roles)

    def visible_population(self) -> str | None:
        """The population that the worker is confined to, None where it sees all."""
        reach = [a for a in self.roles if a.role.startswith("Identity Data")]
        return reach[0].scope if reach and all(a.scope_type == "POPULATION" for a in reach) else None

    def event_app(self, event: Event) -> str:
        if event.kind == "unlisted":
            return self.records.app_ids.encode(event.app + 10_000)
        return str(self._applications[event.app]["id"])

    def app_name(self, event: Event) -> str:
        return "Not Listed" if event.kind == "unlisted" else str(self._applications[event.app]["name"])

    def event_id(self, event: Event) -> str:
        return event_id(self.plan.seed + 1, event.number)

    # Changes

    def add_user(self) -> str:
        """A new user without any group; gives the id."""
        return self.roster.ids.encode(self.roster.add())

    def remove_user(self, user_id: str) -> None:
        self.roster.remove(self.roster.number(user_id))

    def change_user(self, user_id: str, change: Record) -> None:
        """Lay members over a user's record: `{"enabled": False}`; the value ABSENT takes one away."""
        self.roster.change(self.roster.number(user_id), change)

    def join_group(self, group_id: str, user_id: str) -> None:
        insort(self._members[group_id], self.roster.number(user_id))

    def leave_group(self, group_id: str, user_id: str) -> None:
        self._members[group_id].remove(self.roster.number(user_id))

    def change_application(self, app_id: str, change: Record) -> None:
        self._applications[self._application(app_id)].update(change)

    def remove_role(self, role: str) -> None:
        self.roles = [assignment for assignment in self.roles if assignment.role != role]

    def give_role(self, role: str, population: int | None = None) -> None:
        """Give a role in the environment, or in one population (0, 1, 2) alone."""
        if population is None:
            self.roles.append(RoleAssignment(role, "ENVIRONMENT", self.records.environment))
        else:
            self.roles.append(RoleAssignment(role, "POPULATION", POPULATIONS[population][0]))

    def add_use(
        self,
        app_id: str,
        user_id: str,
        at: datetime,
        *,
        persisted: datetime | None = None,
        kind: Kind = "use",
    ) -> str:
        """A sign-on at `at`, listed from now (or `persisted`) on. Gives the activity's id."""
        return self.event_id(self.log.add(self._application(app_id), self.roster.number(user_id), at, persisted, kind))

    def _application(self, app_id: str) -> int:
        for number, application in enumerate(self._applications):
            if application["id"] == app_id:
                return number
        raise KeyError(app_id)
