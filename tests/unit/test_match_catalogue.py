from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from app.models.well_known import WELL_KNOWN
from app.sync.match_catalogue import Catalogue

ROWS = [
    {"id": UUID(int=number), "key": key, "name": name, "domains": domains, "definitions": definitions}
    for number, (key, name, _, _, domains, definitions) in enumerate(WELL_KNOWN)
]
KEYS = {row["id"]: row["key"] for row in ROWS}
CATALOGUE = Catalogue.of(ROWS)


def find(**told: Any) -> object:
    found = CATALOGUE.find(**{"key": None, "definitions": (), "names": (), "domains": (), **told})
    return None if found is None else KEYS[found]


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"key": "pingone", "names": ["PingOne SSO"]}, "pingone"),
        ({"names": ["Whatever"], "definitions": ["boxnet"]}, "box"),
        ({"names": ["GIT-LAB"]}, "gitlab"),
        ({"names": ["Salesforce (EU) - Production"]}, "salesforce"),
        ({"names": ["Miro SSO"]}, "miro"),
        ({"names": ["acme.slack.com"]}, "slack"),
        ({"names": ["Chat (..acme.eu.slack.com, 1.2)"]}, "slack"),
        ({"names": ["Slack (EU) [old]"]}, "slack"),
        ({"names": ["Tickets"], "domains": ["acme.zendesk.com"]}, "zendesk"),
        ({"names": ["Ours"], "domains": ["zendesk.com.example"]}, None),
        ({"names": ["Boxes"]}, None),
        ({"names": ["Production"]}, None),
        ({"names": ["Slack", "Zoom"]}, None),
        ({"names": ["Slack", "Zoom"], "definitions": ["slack"]}, "slack"),
    ],
)
def test_an_application_is_found_by_what_is_told_of_it(told: dict[str, Any], key: str | None) -> None:
    assert find(**told) == key


def test_two_entries_that_claim_the_same_are_not_guessed_between() -> None:
    twin = {**ROWS[0], "id": UUID(int=10_000), "key": "twin", "definitions": [], "domains": []}
    catalogue = Catalogue.of([*ROWS, twin])
    assert catalogue.find(key=None, definitions=(), names=[str(twin["name"])], domains=()) is None


@pytest.mark.parametrize("begun", ["(", "[", "a", "1-", "(a[", "()", "a.1"])
def test_no_label_keeps_us_busy(begun: str) -> None:
    began = time.process_time()
    find(names=[begun * 60_000])
    assert time.process_time() - began < 1
