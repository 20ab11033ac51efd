"""The Identity Security Cloud tenant of the simulated world: sources, their accounts, workflows and what they ran."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from app.demo.vendors.okta_tenant import OktaTenant
from app.demo.vendors.people import mix
from app.demo.vendors.plan import Plan
from app.demo.vendors.roster import Record
from app.demo.vendors.times import DAY_MS, iso
from app.demo.vendors.tokens import TokenBook

ORG = "seatwise-demo"
TENANT_ID = "58d0c5b1-6a0e-4b1d-9c3f-0d5e0a7715c0"
WORKFLOW_ID = "c79e0079-562c-4df5-aa73-60a9e25c916d"
READING = frozenset({"idn:sources:read", "idn:accounts:read", "sp:workflow-execution:read"})
STARTING = frozenset({"sp:workflow-execute:external"})
LIFE_S = 749
# Of so many people one has no account in a source, and one is known there by a number instead of the address.
_MISSING_EACH = 13
_NUMBERED_EACH = 9


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a workflow, with the input it was given."""

    id: str
    workflow_id: str
    input: dict[str, Any]
    at: datetime


@dataclass(slots=True)
class Workflow:
    """With an external trigger. A disabled one takes calls and runs nothing."""

    id: str
    name: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class _Kind:
    """A source before it is written down. people: numbers of those who have an account there."""

    name: str
    type: str
    people: Callable[[], Iterator[int]]
    authoritative: bool = False


class IscTenant:
    """Truth and mutators. A source stands for each vendor and for each application of Okta's, named after it.

    rights       of the API client; may be changed.
    executions   of all workflows, oldest first.
    """

    def __init__(self, plan: Plan, okta: OktaTenant) -> None:
        self.plan = plan
        self.tokens = TokenBook(LIFE_S)
        self.rights = set(READING)
        self.workflows = {WORKFLOW_ID: Workflow(WORKFLOW_ID, "Reclaim unused seats")}
        self.executions: list[Execution] = []
        self._okta = okta
        self._kinds = list(self._invent())
        self._records = cache(self._accounts_of)

    def _invent(self) -> Iterator[_Kind]:
        """The sources: those of the vendors first, one that nothing belongs to last."""
        everybody = self.plan.people
        yield _Kind("Okta - production", "Okta", lambda: iter(range(everybody)))
        yield _Kind("PingOne - production", "PingOne", lambda: iter(range(everybody // 2, everybody)))
        yield _Kind("Ironclad Clickwrap - production", "DelimitedFile", lambda: iter(range(0, everybody, 5)))
        for application in self._okta.applications[2:]:
            yield _Kind(_source_name(application["label"]), "Web Services", self._seats(application["id"]))
        yield _Kind("Employees", "DelimitedFile", lambda: iter(range(everybody)), authoritative=True)

    def _seats(self, app_id: str) -> Callable[[], Iterator[int]]:
        return lambda: self._okta.seats(app_id)

    # The truth

    @property
    def sources(self) -> list[Record]:
        return [self._source(number) for number in range(len(self._kinds))]

    def accounts(self, source_ids: tuple[str, ...] | None = None) -> Iterator[Record]:
        """The accounts of some sources, or of all."""
        for number in range(len(self._kinds)):
            if source_ids is None or self._source_id(number) in source_ids:
                yield from self._records(number)

    def _source_id(self, number: int) -> str:
        return f"2c9180{mix(self.plan.seed, number, 71):016x}{number:010x}"

    def _source(self, number: int) -> Record:
        kind, made = self._kinds[number], iso(self.plan.created(number + 5_000_000))
        return {
            "id": self._source_id(number),
            "name": kind.name,
            "description": f"Accounts of {kind.name}",
            "owner": {"type": "IDENTITY", "id": self._identity_id(0), "name": self.plan.human(0).login},
            "cluster": None,
            "features": ["ENABLE", "PROVISIONING"] if kind.type != "DelimitedFile" else ["NO_RANDOM_ACCESS"],
            "type": kind.type,
            "connector": kind.type.lower().replace(" ", "-"),
            "connectorAttributes": {"healthy": True},
            "deleteThreshold": 10,
            "authoritative": kind.authoritative,
            "healthy": True,
            "status": "SOURCE_STATE_HEALTHY",
            "connectionType": "file" if kind.type == "DelimitedFile" else "direct",
            "connectorName": kind.type,
            "created": made,
            "modified": made,
        }

    def _accounts_of(self, source: int) -> list[Record]:
        kind = self._kinds[source]
        return [self._account(source, number) for number in kind.people() if self.knows(source, number)]

    def knows(self, source: int, number: int) -> bool:
        """Whether a human whose seat a source should know has an account there."""
        return mix(self.plan.seed, source, number, 72) % _MISSING_EACH != 0

    def _account(self, source: int, number: int) -> Record:
        human, kind = self.plan.human(number), self._kinds[source]
        numbered = number % _NUMBERED_EACH == 4
        made = iso(self.plan.created(number) + 3 * DAY_MS)
        return {
            "id": f"2c9180{mix(self.plan.seed, source, number, 73):016x}{number:010x}",
            "name": f"{human.given} {human.family}" if numbered else human.email,
            "sourceId": self._source_id(source),
            "sourceName": kind.name,
            "identityId": self._identity_id(number),
            "nativeIdentity": str(41_000 + number) if numbered else human.email,
            "attributes": {"mail": human.email, "displayName": f"{human.given} {human.family}"},
            "authoritative": kind.authoritative,
            "description": None,
            "disabled": False,
            "locked": False,
            "systemAccount": False,
            "uncorrelated": False,
            "uuid": None,
            "manuallyCorrelated": False,
            "hasEntitlements": False,
            "created": made,
            "modified": made,
        }

    def _identity_id(self, number: int) -> str:
        return f"2c9180{mix(self.plan.seed, number, 74):016x}{number:010x}"

    # Changes

    def run(self, workflow_id: str, given: dict[str, Any]) -> Execution | None:
        """Start a workflow; None where it is disabled."""
        if not self.workflows[workflow_id].enabled:
            return None
        execution = Execution(str(uuid.uuid4()), workflow_id, given, self.plan.now())
        self.executions.append(execution)
        return execution


def _source_name(label: str) -> str:
    """As an administrator would name the source of an application: with its environment behind it."""
    for word in ("Production", "Sandbox"):
        if label.endswith(f" {word}"):
            return f"{label.removesuffix(word)}- {word.lower()}"
    return f"{label} - production"
