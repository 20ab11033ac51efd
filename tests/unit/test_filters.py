from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.connectors.contract import User
from app.connectors.manifest import FieldType
from app.sync.filters import OPS, compile_filters, filter_errors

TYPES: dict[str, FieldType] = {
    "email": "text", "status": "text", "groups": "text", "mfa_enabled": "boolean", "level": "number",
    "hired": "datetime", "absent": "text",
}  # fmt: skip


def user() -> User:
    metadata = {
        "status": "ENABLED", "groups": ["Staff", "Paris"], "mfa_enabled": True, "level": 7,
        "hired": "2024-03-01T10:00:00+01:00",
    }  # fmt: skip
    raw = {"profile": {"since": "2024-03-01T09:00:00Z", "floor": 3, "desk": None, "tags": [{"k": "x"}]}}
    return User("u1", "ada", "Ada@Example.com", "Ada", None, None, True, None, None, metadata, msgspec.json.encode(raw))


def passes(field: str, op: str, value: Any) -> bool:
    filters = [{"field": field, "op": op, "value": value}]
    assert filter_errors(filters, TYPES) == []
    return compile_filters(filters, TYPES)(user())


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("status", "eq", "enabled", True),
        ("status", "eq", "DISABLED", False),
        ("status", "ne", "Enabled", False),
        ("status", "in", ["locked", "enabled"], True),
        ("status", "not_in", ["locked", "enabled"], False),
        ("email", "contains", "@EXAMPLE.", True),
        ("email", "starts_with", "ADA@", True),
        ("email", "starts_with", "example", False),
        ("status", "gt", "d", True),
        ("groups", "eq", "paris", True),
        ("groups", "ne", "paris", False),
        ("groups", "contains", "taf", True),
        ("groups", "eq", "rome", False),
        ("mfa_enabled", "eq", True, True),
        ("mfa_enabled", "ne", True, False),
        ("mfa_enabled", "in", [False], False),
        ("level", "gt", 6.5, True),
        ("level", "lt", 7, False),
        ("level", "lte", 7, True),
        ("level", "gte", "7", True),
        ("level", "lt", "10", True),
        ("hired", "eq", "2024-03-01T09:00:00Z", True),
        ("hired", "gt", "2024-03-01T09:30:00+01:00", True),
        ("hired", "lte", "2024-03-01", True),
        ("hired", "gt", "2024-03-01", False),
        ("raw.profile.since", "gte", "2024-03-01", True),
        ("raw.profile.since", "lt", "2024-02-01T00:00:00Z", False),
        ("raw.profile.floor", "eq", 3, True),
        ("raw.profile.floor", "eq", "3", True),
        ("raw.profile.floor", "gt", 10, False),
        ("raw.profile.tags[0].k", "eq", "X", True),
        ("raw.profile.desk", "is_null", True, True),
        ("raw.profile.nothing", "is_null", True, True),
        ("status", "is_null", False, True),
        ("status", "is_null", True, False),
    ],
)
def test_each_op(field: str, op: str, value: Any, *, expected: bool) -> None:
    assert passes(field, op, value) is expected


@pytest.mark.parametrize("op", ["eq", "in", "contains", "starts_with", "gt", "gte", "lt", "lte"])
def test_a_field_that_the_record_lacks_matches_nothing(op: str) -> None:
    assert passes("absent", op, ["x"] if op == "in" else "x") is False


def test_a_field_that_the_record_lacks_is_not_equal() -> None:
    assert passes("absent", "ne", "x")
    assert passes("absent", "not_in", ["x"])


def test_all_filters_must_hold() -> None:
    yes = {"field": "status", "op": "eq", "value": "enabled"}
    no = {"field": "level", "op": "gt", "value": 10}
    assert compile_filters([yes, yes], TYPES)(user())
    assert not compile_filters([yes, no], TYPES)(user())


def test_without_filters_everybody_passes() -> None:
    assert compile_filters([], TYPES)(user())


@pytest.mark.parametrize(
    ("bad", "member"),
    [
        ({"field": "salary", "op": "eq", "value": "x"}, "field"),
        ({"field": "raw", "op": "eq", "value": "x"}, "field"),
        ({"field": "status", "op": "like", "value": "x"}, "op"),
        ({"field": "status", "op": "eq", "value": None}, "value"),
        ({"field": "status", "op": "eq"}, "value"),
        ({"field": "status", "op": "eq", "value": 3}, "value"),
        ({"field": "status", "op": "in", "value": "x"}, "value"),
        ({"field": "status", "op": "in", "value": []}, "value"),
        ({"field": "status", "op": "in", "value": ["x", None]}, "value"),
        ({"field": "status", "op": "contains", "value": ""}, "value"),
        ({"field": "status", "op": "is_null", "value": "yes"}, "value"),
        ({"field": "mfa_enabled", "op": "eq", "value": "true"}, "value"),
        ({"field": "mfa_enabled", "op": "gt", "value": True}, "value"),
        ({"field": "level", "op": "gt", "value": "seven"}, "value"),
        ({"field": "level", "op": "gt", "value": True}, "value"),
        ({"field": "hired", "op": "gt", "value": "yesterday"}, "value"),
        ({"field": "raw.x", "op": "eq", "value": {"a": 1}}, "value"),
    ],
)
def test_what_is_wrong_with_a_filter_is_named(bad: dict[str, Any], member: str) -> None:
    good = {"field": "status", "op": "eq", "value": "x"}
    errors = filter_errors([good, bad], TYPES)
    assert [error.pointer for error in errors] == [f"#/sync/filters/1/{member}"]


def test_an_unknown_op_is_answered_with_the_known_ones() -> None:
    (error,) = filter_errors([{"field": "status", "op": "~", "value": "x"}], TYPES)
    assert all(op in error.detail for op in OPS)
