"""Reports show what the lists show, and what nobody else does: sources of ISC, money."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from app.core.clock import now
from app.core.ids import new_id
from tests.api.books import Books, days_ago
from tests.api.instances import make_credential
from tests.conftest import Api


async def rows_of(api: Api, dataset: str, columns: list[str], **more: Any) -> list[dict[str, Any]]:
    answer = await api.post("/v1/reports/preview", json={"dataset": dataset, "columns": columns, **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


async def test_accounts_look_as_their_list_shows_them(api: Api) -> None:
    books = Books(api.runtime.database)
    for covered in (0, 5, 50):
        instance = await books.instance(f"Covered {covered}", covered=covered, owner=f"{covered}@example.com")
        application = await books.application(instance, f"App {covered}")
        await books.account(application, "Idle", seat="none", status="inactive", deactivated_at=now())
        await books.account(application, "Busy", used=sorted(days_ago(3, 2, 40)), last_seen_at=now())
        evidence = [{"kind": "not_managed", "detail": "x"}]
        await books.account(
            application, "Odd", email="O@x.se", username="o", role="r", vendor_status="S", metadata={"k": True},
            bypass_evidence=evidence, assigned_at=now() - timedelta(days=3),
        )  # fmt: skip
    same = [
        "name", "email", "username", "application", "role", "seat", "status", "vendor_status", "last_active_at",
        "vendor_id", "days_active", "covered_days", "covered_until", "usage", "first_seen_at", "last_seen_at",
        "deactivated_at", "assigned_at", "bypasses_sso", "person_id", "application_id", "instance_id",
    ]  # fmt: skip
    for window in ("1d", "7d", "30d", "400d"):
        listed = (await api.get(f"/v1/accounts?limit=200&window={window}")).json()["items"]
        found = await rows_of(api, "accounts", ["account_id", "owner", "metadata.k", *same], window=window)
        assert {row["account_id"]: {key: row[key] for key in same} for row in found} == {
            item["id"]: {key: item[key] for key in same} for item in listed
        }
        assert {row["account_id"]: row["owner"] for row in found} == {i["id"]: i["uploaded_by"] for i in listed}
        assert {row["metadata.k"] for row in found} == {None, "true"}


async def test_people_look_as_their_list_shows_them(api: Api) -> None:
    same = [
        "name",
        "email",
        "username",
        "given_name",
        "family_name",
        "status",
        "role",
        "owner",
        "accounts",
        "restrict_access",
    ]
    listed = (await api.get("/v1/people?limit=200")).json()["items"]
    found = await rows_of(api, "people", ["person_id", *same])
    assert {row["person_id"]: {key: row[key] for key in same} for row in found} == {
        item["id"]: {key: item[key] for key in same} for item in listed
    }


async def test_accounts_name_the_source_they_are_mapped_to(api: Api) -> None:
    books, pool = Books(api.runtime.database), api.runtime.database.pool
    credential = UUID(await make_credential(api))
    application = await books.application(await books.instance("Mapped"), "Mapped")
    instance = await pool.fetchval("SELECT instance_id FROM applications WHERE id = $1", application)
    listed, unlisted = await books.account(application, "Listed"), await books.account(application, "Unlisted")
    for source in ("first", "second"):
        mapping = new_id()
        await pool.execute(
            "INSERT INTO source_mappings"
            " (id, tenant_id, source_id, source_name, application_id, instance_id, created_by)"
            " VALUES ($1, $2, $3, $3, $4, $5, '{}')",
            mapping, credential, source, application, instance,
        )  # fmt: skip
    await pool.execute(
        "INSERT INTO isc_accounts (mapping_id, vendor_id, native_identity, account_id, seen_at)"
        " VALUES ($1, 'v', 'CN=Listed', $2, now())",
        mapping, listed,
    )  # fmt: skip
    columns = ["account_id", "isc_source_id", "isc_native_identity"]
    only = [{"field": "application", "op": "eq", "value": "mapped"}]
    found = {row.pop("account_id"): row for row in await rows_of(api, "accounts", columns, filters=only)}
    assert found == {
        str(listed): {"isc_source_id": "second", "isc_native_identity": "CN=Listed"},
        str(unlisted): {"isc_source_id": "first", "isc_native_identity": None},
    }
    by_source = [{"field": "isc_source_id", "op": "eq", "value": "SECOND"}]
    assert [row["account_id"] for row in await rows_of(api, "accounts", columns, filters=by_source)] == [str(listed)]
    elsewhere = [{"field": "application", "op": "ne", "value": "mapped"}]
    assert {r["isc_source_id"] for r in await rows_of(api, "accounts", columns, filters=elsewhere)} <= {None}


async def test_applications_tell_seats_and_money(api: Api) -> None:
    books = Books(api.runtime.database)
    application = await books.application(await books.instance("Paid", covered=50), "Paid", category="Design")
    bare = await books.application(await books.instance("Free"), "Free")
    await books.account(application, "Busy", used=days_ago(1))
    await books.account(application, "Idle")
    await books.account(application, "Gone", seat="none")
    contract = {
        "application_id": str(application), "seats": 5, "price_per_seat": "12.50", "currency": "EUR", "term": "annual",
        "starts_on": "2020-01-01", "grace_days": 0,
    }  # fmt: skip
    answer = await api.post("/v1/contracts", json=contract)
    assert answer.status_code == 201, answer.text
    columns = [
        "application_id", "name", "category", "accounts", "used", "unused", "unknown", "seats_bought", "cost_of_unused",
        "total_cost", "currency", "per", "covered_days",
    ]  # fmt: skip
    only = [{"field": "name", "op": "in", "value": ["paid", "free"]}]
    paid, free = await rows_of(api, "applications", columns, filters=only, sort=["-name"])
    assert paid == {
        "application_id": str(application), "name": "Paid", "category": "Design", "accounts": 2, "used": 1, "unused": 1,
        "unknown": 0, "seats_bought": 5, "cost_of_unused": "12.50", "total_cost": "62.50", "currency": "EUR",
        "per": "year", "covered_days": 30,
    }  # fmt: skip
    assert free == dict.fromkeys(columns) | {
        "application_id": str(bare), "name": "Free", "accounts": 0, "used": 0, "unused": 0, "unknown": 0,
        "covered_days": 0,
    }  # fmt: skip
    dear = [{"field": "total_cost", "op": "gte", "value": 62.5}, {"field": "unused", "op": "gt", "value": 0}]
    assert [row["name"] for row in await rows_of(api, "applications", ["name"], filters=dear)] == ["Paid"]
