from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from app.core.clock import today
from app.core.ids import new_id
from tests.api.books import Books, days_ago
from tests.conftest import Api


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Books]:
    yield Books(api.runtime.database)


async def names(api: Api, path: str) -> list[str]:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


@pytest_asyncio.fixture(scope="module")
async def crm(books: Books) -> UUID:
    """An application with four seats (two used, two not) and one account without a seat, covered for 30 dates."""
    instance = await books.instance("Okta", covered=30, owner="okta@example.com")
    application = await books.application(instance, "CRM", access="assigned", uploaded_by="okta@example.com")
    await books.database.pool.execute(
        "INSERT INTO application_entries (instance_id, vendor_id, application_id, label, definition, active, access)"
        " VALUES ($1, '0oa-CRM', $2, 'CRM', 'crm', true, 'assigned')",
        instance, application,
    )  # fmt: skip
    for name, used in (("Ada", [1, 2]), ("Bob", [29]), ("Cyd", [30]), ("Dan", [])):
        await books.account(application, name, used=days_ago(*used))
    await books.account(application, "Eve", used=days_ago(1), seat="none", status="inactive")
    return application


async def test_seats_are_used_unused_or_unknown(api: Api, crm: UUID) -> None:
    answer = await api.get(f"/v1/applications/{crm}/usage")
    assert answer.status_code == 200
    found = answer.json()
    assert found.pop("covered_until") is not None
    assert found == {
        "window": "30d", "from": str(today() - timedelta(days=29)), "to": str(today()), "covered_days": 30,
        "seats": 4, "used": 2, "unused": 2, "unknown": 0,
    }  # fmt: skip
    longer = (await api.get(f"/v1/applications/{crm}/usage?window=60d")).json()
    assert (longer["covered_days"], longer["used"], longer["unused"], longer["unknown"]) == (30, 3, 0, 1)
    today_only = (await api.get(f"/v1/applications/{crm}/usage?window=1d")).json()
    assert (today_only["used"], today_only["unused"]) == (0, 4)


async def test_usage_agrees_with_the_accounts(api: Api, crm: UUID) -> None:
    for window in ("1d", "7d", "30d", "60d"):
        usage = (await api.get(f"/v1/applications/{crm}/usage?window={window}")).json()
        items = (await api.get(f"/v1/applications/{crm}/accounts?window={window}")).json()["items"]
        for word in ("used", "unused", "unknown"):
            assert usage[word] == sum(item["usage"] == word and item["seat"] != "none" for item in items)


async def test_an_application_has_its_labels_and_seats(api: Api, crm: UUID) -> None:
    found = (await api.get(f"/v1/applications/{crm}")).json()
    assert (found["seats"], found["labels"]) == (4, [{"vendor_id": "0oa-CRM", "label": "CRM"}])
    assert (found["kind"], found["access"], found["vendor_id"]) == ("detected", "assigned", "0oa-CRM")
    described = (await api.get("/openapi.json")).json()["components"]["schemas"]["ApplicationAnswer"]
    assert set(described["properties"]) == set(found)


async def test_applications_are_filtered_and_sorted(api: Api, books: Books) -> None:
    instance = await books.instance("Other", owner="o@example.com")
    await books.application(instance, "zeta", key="", kind="integrated", vendor_id=None)
    await books.application(instance, "Beta", status="inactive", uploaded_by="o@example.com")
    path = f"/v1/applications?instance_id={instance}"
    assert await names(api, path) == ["Beta", "zeta"]
    assert await names(api, f"{path}&sort=-name") == ["zeta", "Beta"]
    assert await names(api, f"{path}&kind=integrated") == ["zeta"]
    assert await names(api, f"{path}&status=inactive") == ["Beta"]
    assert await names(api, f"{path}&q=b") == ["Beta"]
    assert await names(api, f"{path}&uploaded_by=o%40example.com") == ["Beta"]
    first = (await api.get(f"{path}&sort=name&limit=1&count=true")).json()
    assert first["total"] == 2
    assert await names(api, f"{path}&sort=name&limit=1&count=true&cursor={first['next_cursor']}") == ["zeta"]


async def test_an_admin_says_who_answers_for_an_application(api: Api, books: Books, crm: UUID) -> None:
    entry = new_id()
    await books.database.pool.execute("INSERT INTO catalog (id, key, name) VALUES ($1, 'crm', 'CRM')", entry)
    body = {"owner": "crm-team@example.com", "category": "Sales", "catalog_id": str(entry)}
    answer = await api.patch(f"/v1/applications/{crm}", json=body)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in body} == body
    again = await api.get(f"/v1/applications/{crm}")
    assert (again.json(), again.headers["ETag"]) == (answer.json(), answer.headers["ETag"])
    history = await books.database.pool.fetchrow("SELECT * FROM history WHERE object_id = $1 ORDER BY id DESC", crm)
    assert history is not None
    assert (history["kind"], history["action"], history["after"]) == ("applications", "updated", body)
    assert history["actor"]["name"] == "an admin"
    event = (await api.get(f"/v1/audit-events?resource_id={crm}")).json()["items"][0]
    assert (event["action"], event["after"]["category"]) == ("application.updated", "Sales")
    cleared = await api.patch(f"/v1/applications/{crm}", json={"owner": None})
    assert (cleared.json()["owner"], cleared.json()["category"]) == (None, "Sales")


async def test_a_change_of_an_application_needs_an_admin_and_the_state_it_was_made_for(api: Api, crm: UUID) -> None:
    path = f"/v1/applications/{crm}"
    assert (await (await api.as_role("operator")).patch(path, json={"owner": "x"})).status_code == 403
    stale = await api.patch(path, json={"owner": "x"}, headers={"If-Match": '"other"'})
    assert stale.status_code == 412
    fresh = (await api.get(path)).headers["ETag"]
    assert (await api.patch(path, json={"owner": "x"}, headers={"If-Match": fresh})).status_code == 200
    assert (await api.get(path, headers={"If-None-Match": fresh})).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"name": "Mine"}, "#/name"), ({"catalog_id": str(uuid4())}, "#/catalog_id"), ({"owner": ""}, "#/owner")],
)
async def test_bad_changes_of_an_application_are_named(api: Api, crm: UUID, body: object, pointer: str) -> None:
    answer = await api.patch(f"/v1/applications/{crm}", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_people_are_filtered_and_sorted(api: Api, books: Books) -> None:
    for name, columns in (
        ("grace Hopper", {"email": "grace@navy.example", "username": "amazing", "role": "employee"}),
        ("Alan Turing", {"email": None, "anchor": "x/1", "owner": "p@example.com", "status": "inactive"}),
        ("Émilie", {"email": "emilie@example.com", "owner": "p@example.com", "uploaded_by": "p@example.com"}),
    ):
        await books.person(name, **columns)
    assert await names(api, "/v1/people?owner=p%40example.com&sort=name") == ["Alan Turing", "Émilie"]
    assert await names(api, "/v1/people?owner=p%40example.com&status=inactive") == ["Alan Turing"]
    assert await names(api, "/v1/people?q=GRACE&role=employee") == ["grace Hopper"]
    assert await names(api, "/v1/people?q=amaz") == ["grace Hopper"]
    assert await names(api, "/v1/people?q=grace%40n&count=true") == ["grace Hopper"]
    assert await names(api, "/v1/people?uploaded_by=p%40example.com") == ["Émilie"]


async def test_a_person_counts_and_lists_the_accounts(api: Api, books: Books, crm: UUID) -> None:
    person = await books.person("Two Seats", given_name="Two", restrict_access=True, fields={"title": "Dr"})
    other = await books.application(await books.instance("Third"), "Chat")
    for application in (crm, other):
        await books.account(application, "Two Seats", person_id=person, seat="unknown")
    found = (await api.get(f"/v1/people/{person}")).json()
    assert (found["accounts"], found["given_name"], found["restrict_access"]) == (2, "Two", True)
    assert found["fields"] == {"title": "Dr"}
    items = (await api.get(f"/v1/people/{person}/accounts?sort=name")).json()["items"]
    assert {item["application"] for item in items} == {"CRM", "Chat"}
    described = (await api.get("/openapi.json")).json()["components"]["schemas"]["PersonAnswer"]
    assert set(described["properties"]) == set(found)
