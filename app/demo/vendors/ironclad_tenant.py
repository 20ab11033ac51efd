"""The Clickwrap account of the simulated world: users, sites, memberships and signers."""

from __future__ import annotations

from datetime import datetime

from app.demo.vendors.people import mix
from app.demo.vendors.plan import Plan
from app.demo.vendors.roster import Record, Roster
from app.demo.vendors.times import MINUTE_MS, iso
from app.demo.vendors.tokens import TokenBook

ACCOUNT = 7301
FIRST_ID = 40_000
_ROLES = ("viewer", "editor", "viewer", "manager", "admin")
_ZONES = ("EDT", "CET", "America/New_York", "UTC", "Europe/London")
_LOCALES = ("en-US", "en-GB", "de-DE", "sv-SE", "pt-PT")


class _Numbered:
    """Whole numbers as ids."""

    def encode(self, number: int) -> str:
        return str(FIRST_ID + number)

    def decode(self, text: str) -> int | None:
        return int(text) - FIRST_ID if text.isdigit() else None


class ClickwrapTenant:
    """Truth and mutators. Users are a fifth of Okta's, at least ten; user 0 is the owner. No use is known here.

    expires_in  whether the token endpoint tells a life: None (as documented: nothing is known of one) or seconds.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.roster = Roster(min(plan.people, max(10, plan.people // 5)), _Numbered(), self._user)
        self.tokens = TokenBook(None, replaces=True)
        self.expires_in: int | None = None
        self.sites = [self._site(n) for n in range(3)]
        self._roles: dict[tuple[int, int], str | None] = {}

    def _user(self, number: int) -> Record:
        human = self.plan.human(number * 3 if number * 3 < self.plan.people else number)
        email = human.email.upper() if number % 11 == 5 else human.email
        made = iso(self.plan.created(number))
        verified = number % 13 != 7
        dice = mix(self.plan.seed, number, 51)
        return {
            "id": FIRST_ID + number,
            "name": f"{human.given} {human.family}" if number % 17 != 9 else "",
            "email": email,
            "locale": _LOCALES[dice % 5],
            "time_zone": _ZONES[(dice >> 8) % 5],
            "verified": verified,
            "verified_time": iso(self.plan.created(number) + 5 * MINUTE_MS) if verified else None,
            "profiles": [
                {
                    "provider": "local",
                    "id": email,
                    "displayName": human.given,
                    "emails": [],
                    "photos": [],
                    "created_time": made,
                    "updated_time": made,
                }
            ],
        }

    def _site(self, number: int) -> Record:
        name = ("Web shop", "Partner portal", "Sandbox")[number]
        return {
            "id": 510 + number,
            "account": ACCOUNT,
            "name": name,
            "key": f"{mix(self.plan.seed, number, 52):016x}",
            "sandbox": number == 2,
            "disabled": False,
            "deleted": False,
            "time_zone": "America/New_York",
            "created_time": iso(self.plan.created(number + 3_000_000)),
        }

    # The truth

    @property
    def users(self) -> list[Record]:
        return [self.roster.record(n) for n in self.roster.numbers()]

    @property
    def applications(self) -> list[Record]:
        """None: the account itself is the application."""
        return []

    @property
    def assignments(self) -> set[tuple[str, str]]:
        return set()

    @property
    def uses(self) -> list[tuple[str, str, datetime, str]]:
        return []

    @property
    def memberships(self) -> set[tuple[int, int, str]]:
        """(site id, user id, role)."""
        return {
            (site["id"], FIRST_ID + n, role)
            for index, site in enumerate(self.sites)
            for n in self.roster.numbers()
            if (role := self.role(index, n))
        }

    def role(self, site: int, number: int) -> str | None:
        """The role of a user in a site (0, 1, 2), None where they are no member."""
        if (site, number) in self._roles:
            return self._roles[site, number]
        if number == 0:
            return "owner"
        dice = mix(self.plan.seed, site, number, 53)
        return _ROLES[(dice >> 8) % 5] if site == 0 or dice % 3 == 0 else None

    def membership(self, site: int, number: int) -> Record:
        made = iso(self.plan.created(number))
        return {
            "id": 900_000 + site * 300_000 + number,
            "role": self.role(site, number),
            "membership_type": "account" if number == 0 else "site",
            "created_time": made,
            "updated_time": made,
            "user": self.roster.record(number),
        }

    def signer(self, number: int) -> Record:
        """Somebody who accepted a contract: no user of the product."""
        return {
            "signer_id": f"signer-{number}@customer.example",
            "email": f"signer-{number}@customer.example",
            "latest_activity_time": iso(self.plan.created(number)),
            "test_mode": False,
        }

    # Changes

    def add_user(self) -> int:
        return FIRST_ID + self.roster.add()

    def remove_user(self, user_id: int) -> None:
        self.roster.remove(self.roster.number(str(user_id)))

    def change_user(self, user_id: int, change: Record) -> None:
        self.roster.change(self.roster.number(str(user_id)), change)

    def set_role(self, site: int, user_id: int, role: str | None) -> None:
        """Give a user a role in a site (0, 1, 2), or with None take them out of it."""
        self._roles[site, self.roster.number(str(user_id))] = role
