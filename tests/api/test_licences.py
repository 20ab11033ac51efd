from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

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
async def crm(books: Licences) -> dict[str, UUID]:
    """Nine accounts by name, and `application`; covered for 60 dates, first synced 50 days ago."""
    instance = await books.instance("Okta", covered=60)
    application = await books.application(instance, "CRM")
    await books.first_sync(instance, 50)
    old = before(90)
    found = {"application": application}
    accounts: dict[str, dict[str, Any]] = {
        "used": {"used": days_ago(3), "first_seen_at": old},
        "idle": {"used": days_ago(45), "first_seen_at": old, "email": "idle@example.com"},
        "idler": {"first_seen_at": old},
        "suspended": {"first_seen_at": old, "status": "inactive"},
        "exempt": {"first_seen_at": old},
        "new": {"first_seen_at": before(5)},
        "just assigned": {"first_seen_at": old, "assigned_at": before(20)},
        "long assigned": {"first_seen_at": before(5), "assigned_at": before(200)},
        "gone": {"first_seen_at": old, "seat": "none", "status": "inactive"},
    }
    for name, columns in accounts.items():
        found[name] = await books.account(application, name, **columns)
    await books.exemption(found["exempt"], until=day(10))
    await books.exemption(found["idler"], until=day(-1))
    await books.contract(application, seats=5, price_per_seat=Decimal("9.9950"), term="annual")
    return found


async def licences(api: Api, application: UUID, query: str = "") -> dict[str, Any]:
    answer = await api.get(f"/v1/applications/{application}/licences{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_licences_are_counted_and_priced(api: Api, crm: dict[str, UUID]) -> None:
    found = await licences(api, crm["application"])
    counts = ("seats_bought", "assigned", "used", "unused", "unknown", "available", "exempt", "in_grace")
    assert [found[name] for name in counts] == [5, 8, 1, 7, 0, -3, 1, 2]
    # Four seats: idle, idler, suspended, long assigned. 4 x 9.995 = 39.98; 5 x 9.995 = 49.975, rounded up.
    assert found["cost_of_unused"] == {"amount": "39.98", "currency": "EUR", "per": "year"}
    assert found["total_cost"] == {"amount": "49.98", "currency": "EUR", "per": "year"}
    assert (found["window"], found["covered_days"], found["if_window"]) == ("30d", 30, {"60d": 6, "90d": 0})


async def test_only_what_nothing_spares_is_to_be_reclaimed(api: Api, crm: dict[str, UUID]) -> None:
    found = await licences(api, crm["application"])
    wanted = [str(crm[name]) for name in ("idle", "idler", "suspended", "long assigned")]
    assert [item["account_id"] for item in found["reclaim"]] == wanted
    assert (found["reclaim_total"], found["next_cursor"]) == (4, None)
    idle = found["reclaim"][0]
    assert (idle["email"], idle["days_active"], idle["covered_days"]) == ("idle@example.com", 0, 30)
    assert idle["last_active_at"].startswith(str(day(-45)))
    assert "Unused" in idle["reason"]
    assert str(day(-45)) in idle["reason"]


async def test_the_list_to_reclaim_is_paged(api: Api, crm: dict[str, UUID]) -> None:
    path = f"/v1/applications/{crm['application']}/licences"
    first = await api.get(f"{path}?limit=3")
    assert (len(first.json()["reclaim"]), first.json()["reclaim_total"]) == (3, 4)
    link = first.headers["Link"].removeprefix("<").partition(">")[0]
    rest = (await api.get(link)).json()
    assert [item["account_id"] for item in rest["reclaim"]] == [str(crm["long assigned"])]
    assert (rest["unused"], rest["next_cursor"]) == (7, None)
    cursor = first.json()["next_cursor"]
    assert_problem(await api.get(f"{path}?limit=3&window=7d&cursor={cursor}"), 400)
    assert_problem(await api.get(f"{path}?cursor=x"), 400)
    assert_problem(await api.get(f"{path}?limit=201"), 422)


async def test_without_a_contract_nothing_was_bought_but_seats_are_told(api: Api, books: Licences) -> None:
    instance = await books.instance(str(new_id()), covered=30)
    application = await books.application(instance, "CRM")
    await books.account(application, "Ada")
    found = await licences(api, application)
    unpriced = ("contract_id", "seats_bought", "available", "cost_of_unused", "total_cost")
    assert [found[name] for name in unpriced] == [None] * 5
    assert (found["assigned"], found["unused"], found["reclaim_total"]) == (1, 1, 1)


async def test_unknown_is_never_reclaimed(api: Api, books: Licences) -> None:
    for covered in (0, 14):
        application = await books.application(await books.instance(str(new_id()), covered=covered), "CRM")
        await books.account(application, "Ada")
        await books.account(application, "Bob", used=days_ago(2))
        await books.contract(application)
        found = await licences(api, application)
        assert (found["used"], found["unused"], found["unknown"], found["reclaim"]) == (1, 0, 1, [])
        assert found["cost_of_unused"]["amount"] == "0.00"
        assert found["if_window"] == {"60d": 0, "90d": 0}


async def test_the_contract_in_force_is_the_one_that_started_last(api: Api, books: Licences) -> None:
    application = await books.application(await books.instance(str(new_id()), covered=30), "CRM")
    await books.contract(application, seats=1, starts_on=day(-400), renews_on=day(-200))
    past = await books.contract(application, seats=2, starts_on=day(-200), renews_on=day(-10))
    await books.contract(application, seats=3, starts_on=day(1))
    found = await licences(api, application)
    # Its renewal has passed, and no other has started yet.
    assert (found["contract_id"], found["seats_bought"]) == (str(past), 2)
    today = await books.contract(application, seats=4, starts_on=day(0), renews_on=day(1))
    assert (await licences(api, application))["contract_id"] == str(today)


async def test_grace_is_as_long_as_the_contract_says(api: Api, books: Licences) -> None:
    application = await books.application(await books.instance(str(new_id()), covered=30), "CRM")
    for days in (0, 10, 11):
        await books.account(application, f"assigned {days} days ago", assigned_at=before(days))
    contract = await books.contract(application, grace_days=10)
    for grace_days, in_grace in ((10, 2), (0, 0), (9, 1), (11, 3)):
        changed = await api.patch(f"/v1/contracts/{contract}", json={"grace_days": grace_days})
        assert changed.status_code == 200
        found = await licences(api, application)
        assert (found["in_grace"], found["unused"], found["reclaim_total"]) == (in_grace, 3, 3 - in_grace)


async def test_the_first_reading_of_an_instance_brings_no_grace(api: Api, books: Licences) -> None:
    """An account that was there at the initial sync has held its seat for nobody knows how long."""
    instance = await books.instance(str(new_id()), covered=30)
    application = await books.application(instance, "CRM")
    await books.account(application, "Ada", first_seen_at=before(3))
    assert (await licences(api, application))["in_grace"] == 0
    await books.sync(instance, status="failed", finished_at=before(4))
    await books.first_sync(instance, 2)
    assert (await licences(api, application))["in_grace"] == 0
    await books.account(application, "Bob", first_seen_at=before(1))
    assert (await licences(api, application))["in_grace"] == 1


async def test_licences_agree_with_the_usage(api: Api, crm: dict[str, UUID]) -> None:
    for window in ("1d", "7d", "46d", "60d", "90d"):
        found = await licences(api, crm["application"], f"?window={window}")
        usage = (await api.get(f"/v1/applications/{crm['application']}/usage?window={window}")).json()
        shared = ("used", "unused", "unknown", "covered_days", "covered_until", "window", "from", "to")
        assert {name: found[name] for name in shared} == {name: usage[name] for name in shared}
        assert found["assigned"] == usage["seats"]


async def test_viewers_read_what_is_there(api: Api, books: Licences, crm: dict[str, UUID]) -> None:
    viewer = await api.as_role("viewer")
    assert (await viewer.get(f"/v1/applications/{crm['application']}/licences")).status_code == 200
    assert_problem(await api.anonymous().get(f"/v1/applications/{crm['application']}/licences"), 401)
    assert_problem(await api.get(f"/v1/applications/{uuid4()}/licences"), 404)
    assert_problem(await api.get(f"/v1/applications/{crm['application']}/licences?window=401d"), 422)
    instance = await books.instance(str(new_id()))
    application = await books.application(instance, "CRM")
    await books.database.pool.execute("UPDATE instances SET leaving = true WHERE id = $1", instance)
    assert_problem(await api.get(f"/v1/applications/{application}/licences"), 404)
