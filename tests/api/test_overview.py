from __future__ import annotations

from decimal import Decimal

from tests.api.books import days_ago
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.licences.world import Licences, before, day


async def test_an_empty_service_has_an_overview(api: Api) -> None:
    found = (await api.get("/v1/overview")).json()
    assert (found["applications"], found["people"], found["assigned"], found["total_cost"]) == (0, 0, 0, [])
    assert found["instances"] == {"draft": 0, "live": 0, "inactive": 0, "deleting": 0}


async def test_everything_is_summed_up_by_currency_and_period(api: Api) -> None:
    books = Licences(api.runtime.database)
    okta, pingone = await books.instance("Okta", covered=60), await books.instance("PingOne", covered=14)
    leaving, _ = await books.instance("Old", covered=60), await books.instance("Draft", status="draft")
    crm, wiki, chat, free = [await books.application(okta, name) for name in ("CRM", "Wiki", "Chat", "Free")]
    dark, old = await books.application(pingone, "Dark"), await books.application(leaving, "Old")
    for application in (crm, wiki, chat, free, dark, old):
        await books.account(application, "Idle")
        await books.account(application, "Used", used=days_ago(1))
        await books.account(application, "None", seat="none", status="inactive")
    await books.account(crm, "New", assigned_at=before(1))
    soon = await books.contract(crm, seats=10, price_per_seat=Decimal(10), renews_on=day(60))
    await books.contract(wiki, seats=3, price_per_seat=Decimal("0.5"), renews_on=day(61))
    await books.contract(chat, seats=2, price_per_seat=Decimal(100), currency="USD", term="annual")
    await books.contract(dark, seats=1, price_per_seat=Decimal(7), term="annual")
    await books.contract(old, seats=99, renews_on=day(1))
    await books.database.pool.execute("UPDATE instances SET leaving = true WHERE id = $1", leaving)
    await books.database.pool.execute("UPDATE instances SET stale_since = $2 WHERE id = $1", pingone, before(2))
    answer = await api.get("/v1/overview")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    names = ("applications", "accounts", "assigned", "used", "unused", "unknown", "in_grace", "reclaimable")
    assert [found[name] for name in names] == [5, 16, 11, 5, 5, 1, 1, 4]
    assert (found["people"], found["exempt"], found["seats_bought"]) == (16, 0, 16)
    assert found["cost_of_unused"] == [
        {"amount": "10.50", "currency": "EUR", "per": "month"},
        {"amount": "0.00", "currency": "EUR", "per": "year"},
        {"amount": "100.00", "currency": "USD", "per": "year"},
    ]
    assert [money["amount"] for money in found["total_cost"]] == ["101.50", "7.00", "200.00"]
    assert found["renewals_total"] == 1
    assert found["renewals"] == [
        {
            "contract_id": str(soon), "application_id": str(crm), "application": "CRM", "renews_on": str(day(60)),
            "seats": 10, "total_cost": {"amount": "100.00", "currency": "EUR", "per": "month"},
        }
    ]  # fmt: skip
    assert found["instances"] == {"draft": 1, "live": 3, "inactive": 0, "deleting": 0}
    assert ([each["name"] for each in found["stale"]], found["stale_total"]) == (["PingOne"], 1)
    described = (await api.get("/openapi.json")).json()["components"]["schemas"]
    assert set(described["OverviewAnswer"]["properties"]) == set(found)
    licences = (await api.get(f"/v1/applications/{crm}/licences")).json()
    assert set(described["LicencesAnswer"]["properties"]) == set(licences)
    shorter = (await api.get("/v1/overview?window=14d")).json()
    assert (shorter["unused"], shorter["unknown"]) == (6, 0)


async def test_viewers_read_it(api: Api) -> None:
    assert (await (await api.as_role("viewer")).get("/v1/overview")).status_code == 200
    assert_problem(await api.anonymous().get("/v1/overview"), 401)
    assert_problem(await api.get("/v1/overview?window=500d"), 422)
