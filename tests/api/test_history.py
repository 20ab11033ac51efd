"""What happened, and what was known at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest_asyncio

from app.core.clock import now, today
from tests.api.books import Books, days_ago
from tests.api.problems import assert_problem
from tests.conftest import Api


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Books]:
    yield Books(api.runtime.database)


async def change(books: Books, kind: str, object_id: UUID, days: int, before: Any, after: Any, action: str) -> None:
    await books.database.pool.execute(
        "INSERT INTO history (at, kind, object_id, name, action, before, after) VALUES ($1, $2, $3, 'x', $4, $5, $6)",
        now() - timedelta(days=days), kind, object_id, action, before, after,
    )  # fmt: skip


def past(days: int) -> str:
    return quote((now() - timedelta(days=days)).isoformat())


@pytest_asyncio.fixture(scope="module")
async def ada(books: Books) -> UUID:
    """Made 40 days ago as `ada@old`; renamed 20 days ago, deactivated 10 days ago, renamed again 5 days ago."""
    instance = await books.instance("Okta", covered=60)
    application = await books.application(instance, "CRM")
    made = now() - timedelta(days=40)
    account = await books.account(
        application, "Ada C", used=days_ago(2, 30, 35), email="ada@new", status="inactive", seat="none",
        created_at=made, first_seen_at=made, updated_at=now(), deactivated_at=now() - timedelta(days=10),
    )  # fmt: skip
    await books.account(application, "Bob", created_at=now() - timedelta(days=15))
    await change(books, "accounts", account, 40, None, {"email": "ada@old", "status": "active"}, "created")
    await change(
        books, "accounts", account, 20, {"name": "Ada A", "email": "ada@old"}, {"name": "Ada B", "email": "ada@new"},
        "updated",
    )  # fmt: skip
    gone = {"seat": "none", "status": "inactive"}
    await change(books, "accounts", account, 10, {"seat": "assigned", "status": "active"}, gone, "deactivated")
    await change(books, "accounts", account, 5, {"name": "Ada B"}, {"name": "Ada C"}, "updated")
    return account


async def test_history_is_latest_first_in_pages(api: Api, ada: UUID) -> None:
    viewer = await api.as_role("viewer")
    path = f"/v1/accounts/{ada}/history"
    first = (await viewer.get(f"{path}?limit=3&count=true")).json()
    assert [item["action"] for item in first["items"]] == ["updated", "deactivated", "updated"]
    assert first["total"] == 4
    assert first["items"][0].keys() == {"at", "action", "before", "after", "sync_id", "actor"}
    rest = (await viewer.get(f"{path}?limit=3&count=true&cursor={first['next_cursor']}")).json()
    assert [(item["action"], item["before"]) for item in rest["items"]] == [("created", None)]
    assert_problem(await viewer.get(f"/v1/accounts/{uuid4()}/history"), 404)
    assert_problem(await viewer.get(f"/v1/people/{uuid4()}/history"), 404)
    assert_problem(await api.anonymous().get(path), 401)


async def test_an_account_as_it_was(api: Api, ada: UUID) -> None:
    async def then(days: int) -> dict[str, Any]:
        answer = await api.get(f"/v1/accounts/{ada}?as_of={past(days)}")
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    fresh, renamed, left = await then(25), await then(12), await then(7)
    assert (fresh["name"], fresh["email"], fresh["seat"], fresh["status"]) == ("Ada A", "ada@old", "assigned", "active")
    assert (renamed["name"], renamed["status"], renamed["deactivated_at"]) == ("Ada B", "active", None)
    assert (left["name"], left["status"]) == ("Ada B", "inactive")
    assert datetime.fromisoformat(left["deactivated_at"]).date() == today() - timedelta(days=10)
    assert (fresh["days_active"], fresh["last_active_at"][:10]) == (2, str(today() - timedelta(days=30)))
    assert (await then(0))["name"] == "Ada C"
    assert_problem(await api.get(f"/v1/accounts/{ada}?as_of={past(41)}"), 404)
    assert_problem(await api.get(f"/v1/accounts/{ada}?as_of=0001-01-01T00:00:00Z"), 422)
    assert_problem(await api.get("/v1/accounts?as_of=0001-01-01T00:00:00Z"), 422)


async def test_filters_and_sorts_apply_to_the_state_then(api: Api, ada: UUID) -> None:
    async def names(query: str) -> list[str]:
        answer = await api.get(f"/v1/accounts?count=true&sort=name&{query}")
        assert answer.status_code == 200, answer.text
        content = answer.json()
        assert content["total"] == len(content["items"])
        return [item["name"] for item in content["items"]]

    assert await names(f"as_of={past(12)}") == ["Ada B", "Bob"]
    assert await names(f"as_of={past(25)}") == ["Ada A"]
    assert await names(f"as_of={past(7)}&status=active") == ["Bob"]
    assert await names(f"as_of={past(12)}&q=ada%20b&seat=assigned&usage=used&window=10d") == []
    assert await names(f"as_of={past(12)}&q=ada%20b&seat=assigned&usage=used&window=30d") == ["Ada B"]
    first = (await api.get(f"/v1/accounts?sort=last_active_at&limit=1&as_of={past(12)}")).json()
    assert [item["name"] for item in first["items"]] == ["Ada B"]


async def test_a_person_as_known_then(api: Api, books: Books) -> None:
    person = await books.person("Grace New", created_at=now() - timedelta(days=9), email="grace@new")
    await change(
        books, "people", person, 3, {"name": "Grace Old", "email": "grace@old"}, {"name": "Grace New"}, "updated"
    )
    read = (await api.get(f"/v1/people/{person}?as_of={past(5)}")).json()
    assert (read["name"], read["email"], read["accounts"]) == ("Grace Old", "grace@old", 0)
    assert_problem(await api.get(f"/v1/people/{person}?as_of={past(10)}"), 404)
    listed = (await api.get(f"/v1/people?q=grace%20old&count=true&as_of={past(5)}")).json()
    assert (listed["total"], [item["id"] for item in listed["items"]]) == (1, [str(person)])
    history = (await api.get(f"/v1/people/{person}/history")).json()["items"]
    assert [item["after"] for item in history] == [{"name": "Grace New"}]


async def test_only_times_that_have_come_can_be_asked_for(api: Api, ada: UUID) -> None:
    for path in ("/v1/accounts", f"/v1/accounts/{ada}", "/v1/people"):
        for wrong in ("yesterday", past(-1)):
            problem = assert_problem(await api.get(f"{path}?as_of={wrong}"), 422)
            assert problem["errors"][0]["parameter"] == "as_of"


async def test_accounts_that_may_bypass_sign_on_are_found(api: Api, books: Books, ada: UUID) -> None:
    evidence = [{"kind": "not_managed", "detail": "No sign-on provider gives this person the application."}]
    await books.database.pool.execute("UPDATE accounts SET bypass_evidence = $2 WHERE id = $1", ada, evidence)
    found = (await api.get("/v1/accounts?bypasses_sso=possible&count=true")).json()
    assert (found["total"], found["items"][0]["bypasses_sso"]) == (1, "possible")
    assert found["items"][0]["bypass_evidence"] == evidence
    others = (await api.get("/v1/accounts?q=bob")).json()["items"]
    assert [(item["bypasses_sso"], item["bypass_evidence"]) for item in others] == [(None, [])]
    assert_problem(await api.get("/v1/accounts?bypasses_sso=certain"), 422)
