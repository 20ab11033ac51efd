"""PingOne's records of the simulated world, field for field as its API writes them; the values are invented."""

from __future__ import annotations

from typing import Any

from app.demo.vendors.people import mix, product_name
from app.demo.vendors.plan import Plan
from app.demo.vendors.roster import Ids, Record
from app.demo.vendors.signons import Event, event_id
from app.demo.vendors.times import DAY_MS, iso

ENVIRONMENT = "6f1c0d4e-5ea7-4000-8000-000000000001"
CLIENT_ID = "c11e0000-5ea7-4000-8000-00000000c0de"
POPULATIONS = (
    ("77aa0000-5ea7-4000-8000-0000000000f1", "Employees"),
    ("77aa0000-5ea7-4000-8000-0000000000f2", "Contractors"),
    ("77aa0000-5ea7-4000-8000-0000000000f3", "Partners"),
)
_API = f"https://api.pingone.eu/v1/environments/{ENVIRONMENT}"
_TYPES = ("WEB_APP", "NATIVE_APP", "SINGLE_PAGE_APP", "CUSTOM_APP", "TEMPLATE_APP", "PORTAL_LINK_APP")
_PROTOCOLS = ("SAML", "OPENID_CONNECT", "OPENID_CONNECT", "OPENID_CONNECT", "SAML", "EXTERNAL_LINK")
_OWN = (
    ("PingOne Application Portal", "PING_ONE_PORTAL", None),
    ("PingOne Self-Service - MyAccount", "PING_ONE_SELF_SERVICE", None),
    ("PingOne Admin Console", "PING_ONE_ADMIN_CONSOLE", {"role": {"type": "ADMIN_USERS_ONLY"}}),
    ("Nightly export", "SERVICE", None),
)
_KINDS = ("", "NO_EMAIL", "NO_NAME", "EMPTY_TYPE", "NO_ADDRESS", "LOCKED", "DISABLED", "UNVERIFIED")


class PingOneRecords:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.environment = ENVIRONMENT
        self.user_ids = Ids("0d2b7c10-5ea7-4000-8000-", salt=mix(plan.seed, 32))
        self.app_ids = Ids("a99d0000-5ea7-4000-8000-", salt=mix(plan.seed, 33))
        self._group_ids = Ids("9c0f0000-5ea7-4000-8000-", salt=mix(plan.seed, 34))

    def human(self, number: int) -> int:
        """The human of a user: half of them are at Okta too."""
        return number + self._plan.people // 2

    def population(self, number: int) -> int:
        dice = mix(self._plan.seed, number, 35) % 10
        return 0 if dice < 7 else 1 + dice % 2

    def user(self, number: int) -> Record:
        """The users 1 … 7 are awkward in one way each, and so is about one in eight of the others."""
        human = self._plan.human(self.human(number))
        dice = mix(self._plan.seed, number, 36)
        kind = "" if number == 0 or (number > 7 and dice % 8) else _KINDS[(number if number < 8 else dice >> 8) % 8]
        created = self._plan.created(number)
        user_id = self.user_ids.encode(number)
        enabled, locked = kind != "DISABLED", kind == "LOCKED"
        record: dict[str, Any] = {
            "_links": {"self": {"href": f"{_API}/users/{user_id}"}},
            "_embedded": {"password": {"status": "OK"}},
            "id": user_id,
            "environment": {"id": ENVIRONMENT},
            "account": {"canAuthenticate": enabled and not locked, "status": "LOCKED" if locked else "OK"},
            "address": {"locality": human.place[0], "region": human.place[1], "countryCode": human.place[2]},
            "createdAt": iso(created),
            "email": human.email.title() if number % 7 == 3 else human.email,
            "enabled": enabled,
            "externalId": f"E{100000 + human.number}",
            "identityProvider": {"type": "PING_ONE"},
            "lifecycle": {"status": "VERIFICATION_REQUIRED" if kind == "UNVERIFIED" else "ACCOUNT_OK"},
            "locale": human.place[3],
            "mfaEnabled": dice % 3 == 0,
            "name": {"formatted": f"{human.given} {human.family}", "given": human.given, "family": human.family},
            "population": {"id": POPULATIONS[self.population(number)][0]},
            "timezone": human.place[4],
            "title": human.title,
            "type": ("Employee", "Contractor")[dice >> 16 & 1],
            "updatedAt": iso(created + 3 * DAY_MS),
            "username": human.login,
            "verifyStatus": ("NOT_INITIATED", "ENABLED", "DISABLED")[(dice >> 20) % 3],
        }
        if dice % 4:
            signed_on = iso(created + 20 * DAY_MS)
            record["lastSignOn"] = {"at": signed_on, "remoteIp": f"198.51.100.{dice % 254 + 1}"}
        _make_awkward(record, kind)
        return record

    def group(self, number: int) -> Record:
        group_id = self._group_ids.encode(number)
        return {
            "_links": {"self": {"href": f"{_API}/groups/{group_id}"}},
            "id": group_id,
            "environment": {"id": ENVIRONMENT},
            "name": f"{product_name(number)} users",
            "createdAt": iso(self._plan.created(number + 2_000_000)),
        }

    def applications(self, groups: list[Record]) -> list[Record]:
        """The SaaS applications, then PingOne's own, a service and the worker whose credentials are used."""
        apps = [
            self._application(n, product_name(n), _TYPES[n % 6], _PROTOCOLS[n % 6], self._rule(n, groups))
            for n in range(self._plan.applications)
        ]
        for name, kind, rule in _OWN:
            apps.append(self._application(len(apps), name, kind, "OPENID_CONNECT", rule))
        worker = self._application(len(apps), "Seatwise", "WORKER", "OPENID_CONNECT", None)
        return [*apps, {**worker, "id": CLIENT_ID, "_links": {"self": {"href": f"{_API}/applications/{CLIENT_ID}"}}}]

    def _rule(self, number: int, groups: list[Record]) -> Record | None:
        """0 any of two groups, 1 all of two, 2 open to everybody, 3 administrators only; then mostly one group."""
        first, second = ({"id": groups[(number + step) % len(groups)]["id"]} for step in (0, 1))
        turn = number if number < 4 else mix(self._plan.seed, number, 37) % 12
        if turn == 1:
            return {"group": {"type": "ALL_GROUPS", "groups": [first, second]}}
        if turn == 2:
            return None
        if turn == 3:
            return {"role": {"type": "ADMIN_USERS_ONLY"}}
        return {"group": {"type": "ANY_GROUP", "groups": [first, second] if turn % 2 == 0 else [first]}}

    def _application(self, number: int, name: str, kind: str, protocol: str, rule: Record | None) -> Record:
        app_id, created = self.app_ids.encode(number), self._plan.created(number + 1_000_000)
        return {
            "_links": {"self": {"href": f"{_API}/applications/{app_id}"}},
            "id": app_id,
            "environment": {"id": ENVIRONMENT},
            "name": name,
            "enabled": number != 4 and number % 13 != 12,
            "type": kind,
            "protocol": protocol,
            "hiddenFromAppPortal": number % 5 == 4,
            **({"accessControl": rule} if rule else {}),
            "createdAt": iso(created),
            "updatedAt": iso(created + 5 * DAY_MS),
        }

    def activity(self, event: Event, app_id: str, app_name: str) -> Record:
        """One audit activity. An event of kind `no_target` has no `actors`; `other` is a change made in the console;
        failures are ACCESS_DENIED on even and ACCESS_ALLOWED with result FAILED on odd numbers.
        """
        activity_id = event_id(self._plan.seed + 1, event.number)
        failed, other = event.kind == "failure", event.kind == "other"
        kind = "USER.UPDATED" if other else "USER.ACCESS_ALLOWED"
        if failed and event.number % 2 == 0:
            kind = "USER.ACCESS_DENIED"
        user = self._user_reference(event)
        record: dict[str, Any] = {
            "_links": {"self": {"href": f"{_API}/activities/{activity_id}"}},
            "id": activity_id,
            "recordedAt": iso(event.ms),
            "createdAt": iso(max(event.persisted, event.ms) + 29),
            "correlationId": event_id(self._plan.seed + 2, event.number),
            "actors": {"client": _client(app_id, app_name) if not other else dict(_CONSOLE), "user": user},
            "action": {"type": kind, "description": kind.replace("USER.", "User ").replace("_", " ").title()},
            "resources": [dict(user)],
            "result": {"status": "FAILED" if failed else "SUCCESS", "description": "Passed group access control"},
        }
        if event.kind == "no_target":
            del record["actors"]
        if other:
            user["population"] = {}
        return record

    def _user_reference(self, event: Event) -> dict[str, Any]:
        user_id = self.user_ids.encode(event.user)
        return {
            "id": user_id,
            "name": self._plan.human(self.human(event.user)).login,
            "environment": {"id": ENVIRONMENT},
            "population": {"id": POPULATIONS[self.population(event.user)][0]},
            "href": f"{_API}/users/{user_id}",
            "type": "USER",
        }


_CONSOLE = {"id": "adminui", "name": "adminui", "type": "CLIENT"}


def _client(app_id: str, name: str) -> dict[str, Any]:
    href = f"{_API}/applications/{app_id}"
    return {"id": app_id, "name": name, "environment": {"id": ENVIRONMENT}, "href": href, "type": "CLIENT"}


def _make_awkward(record: Record, kind: str) -> None:
    absent = {"NO_EMAIL": ("email",), "NO_NAME": ("name",), "NO_ADDRESS": ("address", "type", "lastSignOn")}
    for name in absent.get(kind, ()):
        record.pop(name, None)
    if kind == "EMPTY_TYPE":
        record["type"] = ""
