from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from app.core.ids import new_id
from tests.api.books import days_ago
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.licences.world import Licences, before, day


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Licences]:
    yield Licences(api.runtime.database)


@pytest_asyncio.fixture(scope="module")
async def application(books: Licences) -> UUID:
    return await books.application(await books.instance("Okta", covered=60), "CRM")


async def explained(api: Api, account: UUID, query: str = "") -> dict[str, Any]:
    answer = await api.get(f"/v1/accounts/{account}/explain{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_unused_seat_is_reclaimable(api: Api, books: Licences, application: UUID) -> None:
    account = await books.account(application, "Ada", used=days_ago(40))
    found = await explained(api, account)
    assert found == {
        "account_id": str(account), "application_id": str(application), "window": "30d", "reclaimable": True,
        "reason": "Unused for the whole window, of which 30 of 30 days are covered;"
        f" last used on {day(-40)}.",
        "seat": "assigned", "usage": "unused", "days_active": 0, "covered_days": 30,
        "last_active_at": found["last_active_at"], "in_grace": False, "in_grace_until": None,
        "exempt": False, "exempt_until": None,
    }  # fmt: skip
    longer = await explained(api, account, "?window=60d")
    assert (longer["reclaimable"], longer["days_active"], longer["usage"]) == (False, 1, "used")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"used": days_ago(2, 4)}, f"Used in the window; last used on {day(-2)}."),
        ({"seat": "none", "status": "inactive", "used": days_ago(2)}, "No seat: "),
        ({"assigned_at": before(20)}, f"In grace until {day(10)}, 30 days after the seat was given."),
    ],
)
async def test_each_case_has_its_reason(
    api: Api, books: Licences, application: UUID, columns: dict[str, Any], words: str
) -> None:
    found = await explained(api, await books.account(application, "Ada", **columns))
    assert not found["reclaimable"]
    assert found["reason"].startswith(words)


async def test_lacking_coverage_is_told_in_days(api: Api, books: Licences) -> None:
    application = await books.application(await books.instance(str(new_id()), covered=14), "CRM")
    found = await explained(api, await books.account(application, "Ada"))
    assert found["reason"].startswith("Unknown: use is covered for 14 of 30 days only")
    assert (found["usage"], found["days_active"], found["covered_days"]) == ("unknown", 0, 14)
    blind = await books.application(await books.instance(str(new_id())), "CRM")
    assert (await explained(api, await books.account(blind, "Ada")))["days_active"] is None


async def test_an_exemption_gives_its_own_reason(api: Api, books: Licences, application: UUID) -> None:
    account = await books.account(application, "Ada", assigned_at=before(1))
    await books.exemption(account, until=day(0), reason="On parental leave.")
    found = await explained(api, account)
    assert found["reason"] == f"Exempt until {day(0)}: On parental leave."
    assert (found["exempt"], found["exempt_until"], found["in_grace_until"]) == (True, str(day(0)), str(day(29)))
    forever = await books.account(application, "Bob")
    await books.exemption(forever)
    assert (await explained(api, forever))["reason"] == "Exempt for good: On leave"


async def test_it_says_of_each_seat_what_the_list_says(api: Api, books: Licences, application: UUID) -> None:
    found = (await api.get(f"/v1/applications/{application}/licences")).json()
    listed = {item["account_id"]: item["reason"] for item in found["reclaim"]}
    accounts = await books.database.pool.fetch("SELECT id FROM accounts WHERE application_id = $1", application)
    assert listed
    for row in accounts:
        told = await explained(api, row["id"])
        assert told["reclaimable"] == (str(row["id"]) in listed)
        assert listed.get(str(row["id"]), told["reason"]) == told["reason"]


async def test_viewers_may_ask_and_what_is_not_there_is_told(api: Api, books: Licences, application: UUID) -> None:
    account = await books.account(application, "Ada")
    assert (await (await api.as_role("viewer")).get(f"/v1/accounts/{account}/explain")).status_code == 200
    assert_problem(await api.get(f"/v1/accounts/{uuid4()}/explain"), 404)
    assert_problem(await api.get(f"/v1/accounts/{account}/explain?window=0d"), 422)
    assert_problem(await api.get(f"/v1/accounts/{account}/explain?colour=red"), 422)


async def test_a_sign_on_provider_tells_nothing_of_the_use_of_itself(api: Api, books: Licences) -> None:
    instance = await books.instance("Okta itself", covered=90)
    provider = await books.application(instance, "Okta itself", kind="integrated", key="", vendor_id=None)
    account = await books.account(provider, "Ada")
    found = await explained(api, account)
    assert (found["usage"], found["reclaimable"]) == ("unused", False)
    assert "sign-on provider" in found["reason"]
    licences = (await api.get(f"/v1/applications/{provider}/licences")).json()
    assert (licences["unused"], licences["reclaim"]) == (1, [])
