"""Okta's records of the simulated world, field for field as its API writes them; the values are invented."""

from __future__ import annotations

from typing import Any

from app.demo.vendors.people import mix, product_name
from app.demo.vendors.plan import Plan
from app.demo.vendors.roster import Ids, Record
from app.demo.vendors.signons import Event, event_id
from app.demo.vendors.times import DAY_MS, MINUTE_MS, iso

STATUSES = (
    "ACTIVE",
    "DEPROVISIONED",
    "SUSPENDED",
    "STAGED",
    "PROVISIONED",
    "PASSWORD_EXPIRED",
    "LOCKED_OUT",
    "RECOVERY",
)
_SHARES = (86, 92, 94, 96, 97, 98, 99, 100)
_SIGN_ON_MODES = ("SAML_2_0", "OPENID_CONNECT", "BROWSER_PLUGIN", "AUTO_LOGIN", "BOOKMARK", "SECURE_PASSWORD_STORE")
_OWN = (("saasure", "Okta Admin Console"), ("okta_enduser", "Okta Dashboard"))
_TAIL = "4x5d7"


class OktaRecords:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.user_ids = Ids("00u", _TAIL, mix(plan.seed, 2))
        self._app_ids = Ids("0oa", _TAIL, mix(plan.seed, 3))
        self._seat_ids = Ids("0ua", _TAIL, mix(plan.seed, 4))

    def first_status(self, number: int) -> int:
        """The index in STATUSES of a user's status when the world begins."""
        if number < len(STATUSES):
            return number
        dice = mix(self._plan.seed, number, 6) % 100
        return next(index for index, share in enumerate(_SHARES) if dice < share)

    def user(self, number: int, status: str) -> Record:
        human = self._plan.human(number)
        created = self._plan.created(number)
        started = None if status == "STAGED" else iso(created + 60 * MINUTE_MS)
        signed_on = None if status in {"STAGED", "PROVISIONED"} else iso(created + 20 * DAY_MS)
        user_id = self.user_ids.encode(number)
        return {
            "id": user_id,
            "status": status,
            "created": iso(created),
            "activated": started,
            "statusChanged": started,
            "lastLogin": signed_on,
            "lastUpdated": iso(created + 2 * DAY_MS),
            "passwordChanged": started,
            "type": {"id": "oty1seatwise" + _TAIL},
            "profile": {
                "firstName": human.given,
                "lastName": human.family,
                "mobilePhone": None,
                "secondEmail": None,
                "login": human.email,
                "email": human.email,
                "department": human.department,
                "title": human.title if number % 4 else None,
                "costCenter": f"CC-{100 + number % 23}",
            },
            "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
            "_links": {"self": {"href": f"https://demo.okta.com/api/v1/users/{user_id}"}},
        }

    def app_id(self, number: int) -> str:
        return self._app_ids.encode(number)

    def application(self, number: int) -> Record:
        """0 and 1 are Okta's own; 2 and 3 share one definition under two labels; 4 is INACTIVE, as is each eleventh."""
        name, label = _OWN[number] if number < 2 else self._named(number)
        mode = "OPENID_CONNECT" if number < 2 else _SIGN_ON_MODES[(number - 2) % len(_SIGN_ON_MODES)]
        app_id, created = self.app_id(number), self._plan.created(number + 1_000_000)
        return {
            "id": app_id,
            "orn": f"orn:okta:idp:00odemo{_TAIL}:apps:{name}:{app_id}",
            "name": name,
            "label": label,
            "status": "INACTIVE" if number == 4 or number % 11 == 10 else "ACTIVE",
            "lastUpdated": iso(created + DAY_MS),
            "created": iso(created),
            "accessibility": {"selfService": False, "errorRedirectUrl": None, "loginRedirectUrl": None},
            "visibility": {"autoLaunch": False, "hide": {"iOS": False, "web": False}, "appLinks": {"login": True}},
            "features": [],
            "signOnMode": mode,
            "credentials": {"userNameTemplate": {"template": "${source.login}", "type": "BUILT_IN"}, "signing": {}},
            "settings": {"app": {}, "manualProvisioning": False, "notes": {"admin": None, "enduser": None}},
            "_links": {"users": {"href": f"https://demo.okta.com/api/v1/apps/{app_id}/users"}},
        }

    def _named(self, number: int) -> tuple[str, str]:
        if number in {2, 3}:
            return "ledgerly", f"Ledgerly {'Production' if number == 2 else 'Sandbox'}"
        label = product_name(number)
        return label.lower().replace(" ", "_"), label

    def app_user(self, app: int, number: int, user_status: str) -> Record:
        since = iso(self._plan.created(number) + (1 + app % 20) * DAY_MS)
        by_group = (app + number) % 3 == 0
        return {
            "id": self.user_ids.encode(number),
            "externalId": None,
            "created": since,
            "lastUpdated": since,
            "scope": "GROUP" if by_group else "USER",
            "status": "SUSPENDED" if user_status == "SUSPENDED" else ("PROVISIONED" if number % 9 == 0 else "ACTIVE"),
            "statusChanged": since,
            "passwordChanged": None,
            "syncState": "DISABLED",
            "credentials": {"userName": self._plan.human(number).email},
            "profile": {},
            "_links": {
                "app": {"href": f"https://demo.okta.com/api/v1/apps/{self.app_id(app)}"},
                "user": {"href": f"https://demo.okta.com/api/v1/users/{self.user_ids.encode(number)}"},
            },
        }

    def event(self, event: Event, app_id: str, label: str) -> Record:
        """One entry of the System Log. `user.session.start` for events of kind `other`; the AppUser target comes before
        the AppInstance in every other entry, for their order means nothing.
        """
        human = self._plan.human(event.user)
        sso = event.kind != "other"
        targets = [self._app_instance(app_id, label), self._app_user_target(event, human.email)]
        dice = mix(self._plan.seed, event.number)
        return {
            "actor": {
                "id": self.user_ids.encode(event.user),
                "type": "User",
                "alternateId": human.email,
                "displayName": f"{human.given} {human.family}",
                "detailEntry": None,
            },
            "client": {
                "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Linux", "browser": "FIREFOX"},
                "zone": "null",
                "device": "Computer",
                "id": None,
                "ipAddress": f"198.51.100.{dice % 254 + 1}",
                "geographicalContext": {"city": human.place[0], "state": human.place[1], "country": human.place[2]},
            },
            "authenticationContext": {"authenticationStep": 0, "externalSessionId": f"101{dice:016x}"},
            "displayMessage": "User single sign on to app" if sso else "User login to Okta",
            "eventType": "user.authentication.sso" if sso else "user.session.start",
            "outcome": _outcome(event),
            "published": iso(event.ms),
            "severity": "INFO",
            "debugContext": {"debugData": {"requestUri": f"/app/{app_id}/sso"}},
            "legacyEventType": "app.auth.sso" if sso else "core.user_auth.login_success",
            "transaction": {"type": "WEB", "id": f"{dice:032x}", "detail": {}},
            "uuid": event_id(self._plan.seed, event.number),
            "version": "0",
            "target": None if event.kind in {"no_target", "other"} else targets[:: -1 if dice % 2 else 1],
        }

    def _app_instance(self, app_id: str, label: str) -> dict[str, Any]:
        return {
            "id": app_id,
            "type": "AppInstance",
            "alternateId": label,
            "displayName": label.split(maxsplit=1)[0],
            "detailEntry": {"signOnModeType": "SAML_2_0"},
        }

    def _app_user_target(self, event: Event, email: str) -> dict[str, Any]:
        seat = self._seat_ids.encode(event.app * self._plan.people + event.user)
        return {"id": seat, "type": "AppUser", "alternateId": email, "displayName": email, "detailEntry": None}


def _outcome(event: Event) -> dict[str, str | None]:
    if event.kind == "failure":
        return {"result": "FAILURE", "reason": "GENERAL_ERROR"}
    return {"result": "SUCCESS", "reason": None}
