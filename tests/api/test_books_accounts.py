from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from app.core.clock import midnight, today
from tests.api.books import Books, days_ago
from tests.conftest import Api


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Books]:
    yield Books(api.runtime.database)


async def names(api: Api, path: str) -> list[str]:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def one(api: Api, account_id: UUID, window: str = "30d") -> dict[str, Any]:
    answer = await api.get(f"/v1/accounts/{account_id}?window={window}")
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


@pytest_asyncio.fixture(scope="module")
async def covered(books: Books) -> UUID:
    """An application of an instance whose last 60 dates are covered."""
    return await books.application(await books.instance("Covered", covered=60, owner="crm@example.com"), "CRM")


@pytest_asyncio.fixture(scope="module")
async def short(books: Books) -> UUID:
    """An application of an instance that keeps 14 dates."""
    return await books.application(await books.instance("Short", covered=14), "Wiki")


@pytest_asyncio.fixture(scope="module")
async def blind(books: Books) -> UUID:
    """An application of an instance that tells of no use."""
    return await books.application(await books.instance("Blind"), "Clicks")


async def test_days_of_use_in_the_window_are_counted(api: Api, books: Books, covered: UUID) -> None:
    account = await books.account(covered, "Counted", used=days_ago(0, 1, 29, 30, 59))
    found = await one(api, account)
    assert (found["days_active"], found["covered_days"], found["usage"], found["window"]) == (3, 30, "used", "30d")
    assert (await one(api, account, "60d"))["days_active"] == 5
    assert (await one(api, account, "1d"))["days_active"] == 1


async def test_no_use_in_a_fully_covered_window_is_unused(api: Api, books: Books, covered: UUID) -> None:
    account = await books.account(covered, "Idle", used=days_ago(40))
    found = await one(api, account)
    assert (found["days_active"], found["usage"]) == (0, "unused")
    assert (await one(api, account, "60d"))["usage"] == "used"


async def test_no_use_in_a_window_that_is_not_fully_covered_is_unknown(api: Api, books: Books, short: UUID) -> None:
    account = await books.account(short, "Unsure")
    found = await one(api, account)
    assert (found["days_active"], found["covered_days"], found["usage"]) == (0, 14, "unknown")
    assert (await one(api, account, "14d"))["usage"] == "unused"


async def test_where_no_date_is_covered_the_days_are_null(api: Api, books: Books, blind: UUID) -> None:
    account = await books.account(blind, "Unseen")
    for window in ("1d", "30d"):
        found = await one(api, account, window)
        assert (found["days_active"], found["covered_days"], found["covered_until"], found["usage"]) == (
            None, 0, None, "unknown",
        )  # fmt: skip


async def test_use_outside_of_the_coverage_is_still_use(api: Api, books: Books, blind: UUID) -> None:
    account = await books.account(blind, "Seen anyway", used=days_ago(2))
    found = await one(api, account)
    assert (found["days_active"], found["usage"]) == (None, "used")


async def test_today_need_not_be_covered_for_unused(api: Api, books: Books) -> None:
    instance = await books.instance("Until yesterday", covered=40)
    await books.database.pool.execute(
        "UPDATE coverage_years SET days = set_bit(days, $2, 0) WHERE instance_id = $1 AND year = $3",
        instance, today().timetuple().tm_yday - 1, today().year,
    )  # fmt: skip
    account = await books.account(await books.application(instance, "Notes"), "Rested")
    found = await one(api, account)
    assert (found["covered_days"], found["usage"]) == (29, "unused")


async def test_a_use_that_a_fast_clock_dated_tomorrow_is_in_no_window(api: Api, books: Books, covered: UUID) -> None:
    account = await books.account(covered, "Tomorrow", used=[today() + timedelta(days=1)])
    assert (await one(api, account))["usage"] == "unused"
    assert "Tomorrow" in await names(api, f"/v1/accounts?application_id={covered}&usage=unused")
    assert "Tomorrow" not in await names(api, f"/v1/accounts?application_id={covered}&usage=used")


async def test_an_account_has_its_documented_fields(api: Api, books: Books, covered: UUID) -> None:
    person = await books.person("Ada Lovelace")
    account = await books.account(
        covered, "Ada Lovelace", person_id=person, email="Ada@Example.com", username="ada", vendor_status="ACTIVE",
        metadata={"mfa_enabled": True}, fields={"title": "Countess"}, used=days_ago(3),
    )  # fmt: skip
    found = await one(api, account)
    assert {name: found[name] for name in ("application", "person_id", "email", "seat", "status", "uploaded_by")} == {
        "application": "CRM", "person_id": str(person), "email": "Ada@Example.com", "seat": "assigned",
        "status": "active", "uploaded_by": "crm@example.com",
    }  # fmt: skip
    assert (found["metadata"], found["fields"]) == ({"mfa_enabled": True}, {"title": "Countess"})
    assert found["last_active_at"] == (midnight(days_ago(3)[0]) + timedelta(hours=9)).isoformat().replace("+00:00", "Z")
    assert found["last_seen_at"] is not None
    described = (await api.get("/openapi.json")).json()["components"]["schemas"]["AccountAnswer"]
    assert set(described["properties"]) == set(found)


@pytest_asyncio.fixture(scope="module")
async def many(books: Books) -> UUID:
    """An application with seven accounts, in the order of their creation."""
    application = await books.application(await books.instance("Many", covered=30, owner="many@example.com"), "Many")
    for number, name in enumerate(["delta", "Alpha", "charlie", "Bravo", "echo", "Foxtrot", "golf"]):
        await books.account(
            application, name, email=f"{name}@x.example" if number % 2 else None, username=f"user{number}",
            vendor_id=f"v{number}", role="admin" if number == 3 else None,
            status="inactive" if number == 4 else "active", seat="none" if number == 4 else "entitled",
            used=days_ago(*range(number)), metadata={"town": f"T{number}", "mfa": number == 5, "level": number},
        )  # fmt: skip
    return application


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["golf", "Foxtrot", "echo", "Bravo", "charlie", "Alpha", "delta"]),
        ("sort=created_at", ["delta", "Alpha", "charlie", "Bravo", "echo", "Foxtrot", "golf"]),
        ("sort=name", ["Alpha", "Bravo", "charlie", "delta", "echo", "Foxtrot", "golf"]),
        ("sort=-name", ["golf", "Foxtrot", "echo", "delta", "charlie", "Bravo", "Alpha"]),
        ("sort=email", ["Alpha", "Bravo", "Foxtrot", "delta", "charlie", "echo", "golf"]),
        ("sort=-email", ["Foxtrot", "Bravo", "Alpha", "golf", "echo", "charlie", "delta"]),
        ("sort=-last_active_at", ["golf", "Foxtrot", "echo", "Bravo", "charlie", "Alpha", "delta"]),
        ("status=inactive", ["echo"]),
        ("seat=none", ["echo"]),
        ("role=admin", ["Bravo"]),
        ("vendor_id=v2", ["charlie"]),
        ("usage=unused", ["delta"]),
        ("usage=used&status=inactive", ["echo"]),
        ("usage=unknown", []),
        ("inactive_for=30d", ["delta"]),
        ("inactive_for=31d", []),
        ("days_active_lt=2", ["Alpha", "delta"]),
        ("days_active_lt=0", []),
        ("q=AL", ["Alpha"]),
        ("q=user5", ["Foxtrot"]),
        ("q=bravo%40x", ["Bravo"]),
        ("q=ravo", []),
        ("q=%25", []),
        ("owner=many%40example.com&sort=name&limit=1", ["Alpha"]),
        ("uploaded_by=other%40example.com", []),
        ("metadata.town=T3", ["Bravo"]),
        ("metadata.town=t3", []),
        ("metadata.mfa=true", ["Foxtrot"]),
        ("metadata.level=2", ["charlie"]),
        ("metadata.mfa=false&metadata.town=T0", ["delta"]),
        ("metadata.other=x", []),
        ("metadata.level=1e999", []),
        ("metadata.level=" + "9" * 400, []),
        ("metadata.a%22b=%5C", []),
        ("q=%F0%9F%90%8D", []),
    ],
)
async def test_filters_and_sorts(api: Api, many: UUID, query: str, expected: list[str]) -> None:
    assert await names(api, f"/v1/accounts?application_id={many}&{query}") == expected
    assert await names(api, f"/v1/applications/{many}/accounts?{query}") == expected


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "name", "-name", "email", "-email", "last_active_at"])
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_meet_every_account_once_in_order(api: Api, many: UUID, sort: str, limit: int) -> None:
    path = f"/v1/accounts?application_id={many}&sort={sort}"
    whole = await names(api, path)
    walked: list[str] = []
    following: str | None = f"{path}&limit={limit}&count=true"
    while following is not None:
        answer = await api.get(following)
        assert answer.json()["total"] == 7
        walked += [item["name"] for item in answer.json()["items"]]
        following = answer.links["next"]["url"] if "next" in answer.links else None
        assert (following is None) == (answer.json()["next_cursor"] is None)
    assert walked == whole


async def test_a_cursor_of_another_filter_is_refused(api: Api, many: UUID) -> None:
    cursor = (await api.get(f"/v1/accounts?application_id={many}&limit=1")).json()["next_cursor"]
    answer = await api.get(f"/v1/accounts?limit=1&cursor={cursor}")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("window=30", "window"), ("window=401d", "window"), ("inactive_for=soon", "inactive_for"),
        ("usage=maybe", "usage"), ("status=gone", "status"), ("days_active_lt=-1", "days_active_lt"),
        ("application_id=7", "application_id"), ("q=", "q"), ("sort=role", "sort"), ("ussage=used", "ussage"),
        ("inactive_for=30d&usage=used", "usage"), ("inactive_for=30d&window=60d", "window"), ("limit=201", "limit"),
    ],
)  # fmt: skip
async def test_bad_parameters_are_named(api: Api, query: str, parameter: str) -> None:
    answer = await api.get(f"/v1/accounts?{query}")
    assert answer.status_code == 422, answer.text
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


async def test_accounts_of_an_instance_that_is_being_deleted_do_not_appear(api: Api, books: Books) -> None:
    instance = await books.instance("Leaving", covered=30)
    application = await books.application(instance, "Going")
    person = await books.person("Stays")
    account = await books.account(application, "Gone", person_id=person)
    await books.database.pool.execute("UPDATE instances SET status = 'deleting' WHERE id = $1", instance)
    assert await names(api, f"/v1/accounts?instance_id={instance}") == []
    assert (await api.get(f"/v1/accounts/{account}")).status_code == 404
    assert (await api.get(f"/v1/accounts/{account}/activity")).status_code == 404
    assert (await api.get(f"/v1/applications/{application}")).status_code == 404
    assert (await api.get(f"/v1/people/{person}")).json()["accounts"] == 0


async def test_the_days_of_an_account_are_a_list_and_a_calendar(api: Api, books: Books, short: UUID) -> None:
    account = await books.account(short, "Diary", used=days_ago(0, 13, 20, 100))
    answer = await api.get(f"/v1/accounts/{account}/activity")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["from"], found["to"]) == (str(days_ago(89)[0]), str(today()))
    assert (found["days_active"], found["covered_days"]) == (3, 14)
    assert found["days"] == [str(day) for day in days_ago(20, 13, 0)]
    states = {day["date"]: day["state"] for day in found["calendar"]}
    assert len(states) == 90
    assert [states[str(day)] for day in days_ago(0, 1, 13, 14, 20)] == ["active", "idle", "active", "unknown", "active"]


async def test_a_span_of_days_can_be_asked_for(api: Api, books: Books, short: UUID) -> None:
    account = await books.account(short, "Span", used=days_ago(1, 2, 3))
    first, last = days_ago(2, 1)
    found = (await api.get(f"/v1/accounts/{account}/activity?from={first}&to={last}")).json()
    assert [day["date"] for day in found["calendar"]] == [str(first), str(last)]
    assert found["days_active"] == 2
    outside = (await api.get(f"/v1/accounts/{account}/activity?from=2020-02-29&to=2020-03-01")).json()
    assert (outside["days_active"], outside["covered_days"]) == (None, 0)


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-01-02&to=2026-01-01",
        "from=2024-01-01&to=2025-03-01",
        "from=yesterday",
        "from=1700000000",
        "from=0001-01-01&to=0001-01-02",
        "to=0001-01-01",
    ],
)
async def test_bad_spans_are_refused(api: Api, books: Books, short: UUID, query: str) -> None:
    account = await books.account(short, "Refused")
    answer = await api.get(f"/v1/accounts/{account}/activity?{query}")
    assert answer.status_code == 422, answer.text


async def test_what_does_not_exist_is_a_404(api: Api) -> None:
    for path in ("accounts/{}", "accounts/{}/activity", "people/{}", "people/{}/accounts", "applications/{}"):
        assert (await api.get(f"/v1/{path.format(uuid4())}")).status_code == 404


async def test_no_key_no_books(api: Api) -> None:
    for path in ("accounts", "people", "applications", "syncs", "instances"):
        assert (await api.anonymous().get(f"/v1/{path}")).status_code == 401
