"""Filters of reports: every operator on every type, with the meaning that the filters of syncs have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from app.activity.keyset import Values
from app.connectors.contract import User
from app.connectors.manifest import FieldType
from app.core.database import Database
from app.reports.columns import Column
from app.reports.conditions import Expression, condition
from app.sync.filters import compile_filters, filter_errors
from tests.api.books import Books
from tests.reports.asking import ask

MOMENT = datetime(2025, 3, 1, 9, 30, tzinfo=UTC)
FIELDS = {
    "floor": "number", "remote": "boolean", "hired": "date", "reviewed": "datetime", "desk": "text", "team": "choice",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def books(database: Database) -> Books:
    books = Books(database)
    for key, kind in FIELDS.items():
        for of in ("account", "person"):
            choices = ["Sales"] if kind == "choice" else []
            await database.pool.execute(
                "INSERT INTO fields (kind, key, title, type, choices) VALUES ($1, $2, $2, $3, $4)",
                of,
                key,
                kind,
                choices,
            )
    instance = await books.instance("Okta", covered=0, owner="Owner@example.com")
    application = await books.application(instance, "Ledger")
    fields = {
        "floor": 3, "remote": True, "hired": "2024-02-29", "reviewed": "2025-03-01T09:30:00Z", "desk": "3-B",
        "team": "Sales",
    }  # fmt: skip
    metadata = {
        "status": "ACTIVE", "mfa_enabled": False, "groups": ["Staff", "Paris"], "level": 7, "verified": "yes",
        "since": "2024-03-01T10:00:00+01:00", "verified_time": "2024-03-01", "user_id": "17", "empty": "", "nest": {},
        "percent%": "100%",
    }  # fmt: skip
    person = await books.person("Ada", fields=fields, restrict_access=True)
    await books.account(
        application, "Ada Åström", email="Ada@Example.com", person_id=person, metadata=metadata, fields=fields,
        last_active_at=MOMENT, vendor_status="ACTIVE",
    )  # fmt: skip
    wrong = {
        "floor": "upstairs", "remote": "maybe", "hired": "2025-02-29", "reviewed": "soon", "desk": None, "team": "",
    }  # fmt: skip
    odd = {
        "mfa_enabled": "often", "verified_time": "0000-01-01", "user_id": "ae5", "level": "a7", "groups": [],
        "since": "2024-13-01T10:00:00Z",
    }  # fmt: skip
    other = await books.person("Bob", fields=wrong)
    await books.account(application, "Bob", person_id=other, fields=wrong, metadata=odd)
    return books


async def found(database: Database, field: str, op: str, value: Any, dataset: str = "accounts") -> str:
    """First letters of the names for which the filter holds."""
    rows = await ask(database, dataset, ["name"], filters=[{"field": field, "op": op, "value": value}], sort=["name"])
    return "".join(row["name"][0] for row in rows)


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("name", "eq", "ADA åström", "A"),
        ("name", "ne", "bob", "A"),
        ("name", "in", ["bob", "ADA ÅSTRÖM", "x"], "AB"),
        ("name", "not_in", ["Bob"], "A"),
        ("name", "contains", "ÅST", "A"),
        ("name", "contains", "%", ""),
        ("name", "starts_with", "bO", "B"),
        ("name", "starts_with", "_", ""),
        ("name", "gt", "ADB", "B"),
        ("name", "gte", "bob", "B"),
        ("name", "lt", "B", "A"),
        ("name", "lte", "ada åström", "A"),
        ("name", "is_null", False, "AB"),
        ("email", "is_null", True, "B"),
        ("email", "ne", "ada@example.com", "B"),
        ("email", "not_in", ["ada@example.com"], "B"),
        ("email", "gt", "a", "A"),
        ("owner", "eq", "owner@EXAMPLE.com", "AB"),
        ("seat", "eq", "ASSIGNED", "AB"),
        ("usage", "eq", "unknown", "AB"),
        ("usage", "ne", "unknown", ""),
        ("bypasses_sso", "is_null", True, "AB"),
        ("days_active", "is_null", True, "AB"),
        ("days_active", "ne", 3, "AB"),
        ("days_active", "lt", 3, ""),
        ("covered_days", "eq", 0, "AB"),
        ("covered_days", "in", [0, 1.5, "2"], "AB"),
        ("covered_days", "gte", 0.5, ""),
        ("covered_days", "lt", 1e308, "AB"),
        ("covered_days", "lt", 10**30, "AB"),
        ("last_active_at", "eq", "2025-03-01T10:30:00+01:00", "A"),
        ("last_active_at", "eq", "2025-03-01", "A"),
        ("last_active_at", "gt", "2025-03-01", ""),
        ("last_active_at", "gte", "2025-03-01", "A"),
        ("last_active_at", "lte", "2025-03-01", "A"),
        ("last_active_at", "gt", "2025-03-01T09:29:59Z", "A"),
        ("last_active_at", "lt", "2025-03-01 09:30:00", ""),
        ("last_active_at", "in", ["2024-01-01", "2025-03-01T09:30:00Z"], "A"),
        ("last_active_at", "not_in", ["2025-03-01"], "B"),
        ("last_active_at", "ne", "2025-03-01", "B"),
        ("last_active_at", "is_null", True, "B"),
        ("last_active_at", "lt", "9999-12-31T23:59:59Z", "A"),
        ("last_active_at", "gt", "0001-01-01", "A"),
        ("fields.floor", "eq", 3, "A"),
        ("fields.floor", "gt", 2.5, "A"),
        ("fields.floor", "ne", 3, "B"),
        ("fields.floor", "in", ["3"], "A"),
        ("fields.floor", "is_null", True, ""),
        ("fields.remote", "eq", True, "A"),
        ("fields.remote", "ne", True, "B"),
        ("fields.remote", "in", [True, False], "A"),
        ("fields.hired", "eq", "2024-02-29", "A"),
        ("fields.hired", "lt", "2024-02-29T00:00:01Z", "A"),
        ("fields.hired", "gte", "2024-03-01", ""),
        ("fields.reviewed", "eq", "2025-03-01T09:30:00Z", "A"),
        ("fields.reviewed", "lte", "2025-03-01", "A"),
        ("fields.desk", "starts_with", "3-", "A"),
        ("fields.desk", "is_null", True, "B"),
        ("fields.team", "eq", "sales", "A"),
        ("fields.team", "is_null", True, "B"),
        ("metadata.status", "eq", "active", "A"),
        ("metadata.mfa_enabled", "eq", False, "A"),
        ("metadata.mfa_enabled", "in", [True], ""),
        ("metadata.verified_time", "lt", "2024-06-01", "A"),
        ("metadata.user_id", "eq", 17, "A"),
        ("metadata.user_id", "gt", 16, "A"),
        ("metadata.groups", "eq", "paris", "A"),
        ("metadata.groups", "ne", "paris", "B"),
        ("metadata.groups", "contains", "taf", "A"),
        ("metadata.groups", "in", ["rome", "PARIS"], "A"),
        ("metadata.groups", "not_in", ["rome"], "AB"),
        ("metadata.groups", "is_null", True, "B"),
        ("metadata.level", "gt", 6, "A"),
        ("metadata.level", "eq", "7", "A"),
        ("metadata.level", "in", [7, "a7"], "AB"),
        ("metadata.since", "gt", "2024-03-01T08:59:00Z", "A"),
        ("metadata.since", "lte", "2024-03-01", "A"),
        ("metadata.empty", "is_null", True, "AB"),
        ("metadata.nest", "is_null", True, "AB"),
        ("metadata.none", "ne", "x", "AB"),
        ("metadata.percent%", "eq", "100%", "A"),
    ],
)
async def test_a_filter_of_accounts(
    database: Database, books: Books, field: str, op: str, value: Any, expected: str
) -> None:
    assert await found(database, field, op, value) == expected


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("restrict_access", "eq", True, "A"),
        ("restrict_access", "ne", True, "B"),
        ("accounts", "gte", 1, "AB"),
        ("accounts", "eq", 2, ""),
        ("applications", "eq", 1, "AB"),
        ("usage", "in", ["Unknown"], "AB"),
        ("fields.remote", "eq", True, "A"),
        ("fields.reviewed", "is_null", False, "AB"),
    ],
)
async def test_a_filter_of_people(
    database: Database, books: Books, field: str, op: str, value: Any, expected: str
) -> None:
    assert await found(database, field, op, value, "people") == expected


async def test_values_have_their_types_and_what_fits_none_is_null(database: Database, books: Books) -> None:
    columns = [
        *(f"fields.{key}" for key in FIELDS),
        "metadata.mfa_enabled",
        "metadata.groups",
        "metadata.verified_time",
    ]
    ada, bob = await ask(database, "accounts", columns, sort=["name"])
    assert [ada[column] for column in columns] == [
        3, True, datetime(2024, 2, 29).date(), MOMENT, "3-B", "Sales", False, '["Staff", "Paris"]',  # noqa: DTZ001  # a date
        datetime(2024, 3, 1, tzinfo=UTC),
    ]  # fmt: skip
    assert [bob[column] for column in columns] == [None, None, None, None, None, "", None, "[]", None]


@pytest.mark.parametrize(
    "key", ["x'y", 'x"y', "x') IS NULL OR true --", "x}y{0}", "$1", "%s", "{item}", "x\\", "a.b", "ü", "e.item"]
)
async def test_keys_are_never_sql(database: Database, books: Books, key: str) -> None:
    await database.pool.execute("UPDATE accounts SET metadata = metadata || jsonb_build_object($1::text, 'here')", key)
    column = f"metadata.{key}"
    only = [{"field": column, "op": "eq", "value": "HERE"}, {"field": "name", "op": "ne", "value": "'; --"}]
    rows = await ask(database, "accounts", [column, "name"], filters=only, sort=[f"-{column}"])
    assert [row[column] for row in rows] == ["here", "here"]


async def test_nulls_stand_last_in_both_directions_and_ties_go_by_id(database: Database) -> None:
    books = Books(database)
    application = await books.application(await books.instance("Sorted"), "Sorted")
    made = [
        str(await books.account(application, name, email=email))
        for name, email in [("b", None), ("B", "z@x"), ("a", None), ("C", "Y@x"), ("b", None)]
    ]
    only = [{"field": "application", "op": "eq", "value": "sorted"}]

    async def order(*sort: str) -> list[int]:
        rows = await ask(database, "accounts", ["account_id"], filters=only, sort=sort)
        return [made.index(row["account_id"]) for row in rows]

    assert await order() == [0, 1, 2, 3, 4]
    assert await order("name") == [2, 0, 1, 4, 3]
    assert await order("-name") == [3, 0, 1, 4, 2]
    assert await order("email") == [3, 1, 0, 2, 4]
    assert await order("-email") == [1, 3, 0, 2, 4]
    assert await order("email", "-name") == [3, 1, 0, 4, 2]


RECORD = {
    "text": "Paris", "other": "7.5", "number": 7, "yes": True, "list": ["Staff", "Paris", 7],
    "when": "2024-03-01T10:00:00+01:00", "day": "2024-03-01", "nothing": None, "blank": "", "none": [],
}  # fmt: skip
OPERANDS: dict[FieldType | None, list[Any]] = {
    "text": ["paris", "PAR", "7.5", "z", "7"],
    "number": [7, 7.5, "7", 0],
    "boolean": [True, False],
    "datetime": ["2024-03-01", "2024-03-01T09:00:00Z", "2024-02-28T23:59:59+05:00", "2030-01-01"],
    None: ["paris", "7", 7, 7.5, True, False, "2024-03-01", "2024-03-01T09:00:00Z"],
}


@pytest.mark.parametrize("kind", OPERANDS, ids=str)
async def test_they_mean_what_the_filters_of_syncs_mean(database: Database, kind: FieldType | None) -> None:
    """Every operator and operand, on every kind of value, asked of both."""
    user = User("u", None, None, "U", None, None, True, None, None, RECORD, b"{}")
    asked, wanted, tests, values = [], [], [], Values()
    column = Column("x", "X", "text", kind)
    record = f"{values.add(RECORD)}::jsonb"
    for field in RECORD:
        for op in column.operators:
            for operand in OPERANDS[kind]:
                value = bool(operand) if op == "is_null" else [operand, operand] if op in ("in", "not_in") else operand
                one = {"field": field, "op": op, "value": value}
                types: dict[str, FieldType] = {} if kind is None else {field: kind}
                if filter_errors([{**one, "field": field if types else "raw.x"}], types):
                    continue
                asked.append((field, op, value))
                wanted.append(compile_filters([one], types)(user))
                member = Expression(f"({record} -> {values.add(field)}::text)", json=True)
                tests.append(f"coalesce({condition(one, column, member, values)}, false)")
    row = await database.pool.fetchval(f"SELECT ARRAY[{', '.join(tests)}]", *values)
    assert [one for one, here, there in zip(asked, row, wanted, strict=True) if here != there] == []
