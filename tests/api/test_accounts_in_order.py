"""Accounts of one instance, one application, in the order of their creation, however many newer ones others have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.activity.accounts import AccountFilter, list_accounts
from app.activity.days import window
from app.activity.keyset import Slice
from app.core.clock import today
from tests.api.books import Books
from tests.conftest import Api

OLDER, NEWER = 900, 400
_MANY = """
    INSERT INTO accounts (id, instance_id, application_id, vendor_id, person_id, name, seat, status)
    SELECT ($4::text || lpad(to_hex(n), 4, '0') || '-0000-7000-8000-000000000000')::uuid, $1, $2, n::text, $3, 'Ada',
        'assigned', CASE WHEN n % 10 = 0 THEN 'inactive' ELSE 'active' END
    FROM generate_series(1, $5::int) n
"""


@pytest_asyncio.fixture(scope="module")
async def older(api: Api) -> dict[str, UUID]:
    """An instance and its only application; all their accounts are older than those of another."""
    books = Books(api.runtime.database)
    person = await books.person("Ada")
    found = {}
    for name, prefix, number in (("Newer", "0002", NEWER), ("Older", "0001", OLDER)):
        instance = await books.instance(name)
        application = await books.application(instance, name)
        found = {"instance_id": instance, "application_id": application}
        await api.runtime.database.pool.execute(_MANY, instance, application, person, prefix, number)
    await api.runtime.database.pool.execute("ANALYZE accounts")
    return found


@pytest.mark.parametrize("column", ["instance_id", "application_id"])
async def test_newer_accounts_of_others_are_not_passed_over(api: Api, older: dict[str, UUID], column: str) -> None:
    plans: list[str] = []
    pool = api.runtime.database.pool

    async def fetch(statement: str, *values: Any) -> Sequence[Any]:
        plans.append(await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values))
        return await pool.fetch(statement, *values)

    ids = {name: older[name] if name == column else None for name in older}
    wanted = AccountFilter(window(30, today()), instance_id=ids["instance_id"], application_id=ids["application_id"])
    rows, last = await list_accounts(fetch, wanted, Slice(50))
    assert (len(rows), last is not None) == (50, True)
    passed = sum(int(number) for plan in plans for number in re.findall(r'"Rows Removed by Filter": (\d+)', plan))
    assert passed < NEWER / 4


@pytest.mark.parametrize("column", ["instance_id", "application_id"])
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
@pytest.mark.parametrize("status", ["active", "inactive"])
async def test_its_pages_have_each_account_once_in_order(
    api: Api, older: dict[str, UUID], column: str, sort: str, status: str
) -> None:
    found: list[str] = []
    path = f"/v1/accounts?{column}={older[column]}&sort={sort}&status={status}&limit=70"
    while path:
        answer = await api.get(path)
        found += [item["id"] for item in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    order = "DESC" if sort.startswith("-") else "ASC"
    every = await api.runtime.database.pool.fetch(
        f"SELECT id::text FROM accounts WHERE {column} = $1 AND status = $2 ORDER BY id {order}", older[column], status
    )
    assert found == [row["id"] for row in every]
