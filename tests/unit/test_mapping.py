from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.connectors.contract import User
from app.sync.mapping import Mapped, UserMapping
from app.sync.mapping_rules import mapping_errors, missing_targets

AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
FIELDS = ("email", "username", "name", "given_name", "family_name", "locality", "mfa_enabled")
AS_PROPOSED = [{"source": name, "target": name} for name in FIELDS[:5]]


def user(**changes: Any) -> User:
    raw = changes.pop("raw", {"profiles": [{"provider": "OKTA"}], "nick": ""})
    known: dict[str, Any] = {
        "vendor_id": "u1", "username": "ada", "email": "Ada.L@Example.com", "name": "Ada Lovelace", "given_name": "Ada",
        "family_name": "Lovelace", "active": True, "vendor_status": None, "role": "editor",
        "metadata": {"locality": "London", "mfa_enabled": False},
    }  # fmt: skip
    return User(**{**known, **changes}, raw=msgspec.json.encode(raw))


def mapped(rows: list[dict[str, Any]], who: User | None = None, **options: Any) -> Mapped:
    return UserMapping(rows, **options)(who or user(), credential="PingOne reader", sync_time=AT)


def account_field(source: str, *, who: User | None = None, **row: Any) -> Any:
    return mapped([*AS_PROPOSED, {"source": source, "target": "account.x", **row}], who).account["fields"]["x"]


def test_the_proposed_mapping_takes_each_column_from_the_field_of_its_name() -> None:
    done = mapped(AS_PROPOSED)
    assert done.account == {
        "email": "Ada.L@Example.com", "username": "ada", "name": "Ada Lovelace", "role": "editor", "fields": {},
    }  # fmt: skip
    assert done.person == {
        "email": "ada.l@example.com", "username": "Ada.L@Example.com", "name": "Ada Lovelace", "given_name": "Ada",
        "family_name": "Lovelace", "fields": {},
    }  # fmt: skip
    assert (done.errors, done.rejected) == ([], None)


@pytest.mark.parametrize("changes", [{}, {"name": None}, {"email": None}, {"email": None, "username": None}])
def test_the_quick_way_and_the_general_way_agree(changes: dict[str, Any]) -> None:
    spelled_out = [{**row, "transform": None, "on": "create_and_update", "default": None} for row in AS_PROPOSED]
    general = [*spelled_out[:-1], {**spelled_out[-1], "source": "raw.family"}]
    who = user(**changes, raw={"family": "Lovelace"})
    assert mapped(AS_PROPOSED, who) == mapped(spelled_out, who) == mapped(general, who)


@pytest.mark.parametrize(
    ("username_format", "expected"), [("email", "Ada.L@Example.com"), ("username", "ada"), ("local_part", "Ada.L")]
)
def test_the_format_shapes_the_persons_username_alone(username_format: str, expected: str) -> None:
    done = mapped(AS_PROPOSED, username_format=username_format)
    assert done.person["username"] == expected
    assert done.account["username"] == "ada"


@pytest.mark.parametrize("username_format", ["email", "username", "local_part"])
def test_without_an_email_the_persons_username_is_the_vendors(username_format: str) -> None:
    assert mapped(AS_PROPOSED, user(email=None), username_format=username_format).person["username"] == "ada"


def test_a_missing_name_rejects_nobody() -> None:
    rows = [*AS_PROPOSED[:2], *AS_PROPOSED[3:], {"source": "raw.nick", "target": "name"}]
    assert mapped(rows).person["name"] == "Ada Lovelace"
    assert mapped(rows, user(given_name=None, family_name=None)).person["name"] == "ada"
    assert mapped(rows, user(given_name=None, family_name=None, username=None)).account["name"] == "Ada.L@Example.com"


def test_a_record_that_the_mapping_leaves_without_email_and_username_is_rejected() -> None:
    done = mapped([{"source": "raw.mail", "target": "email"}, {"source": "name", "target": "name"}])
    assert done.rejected is not None
    assert (done.rejected.vendor_id, done.rejected.code) == ("u1", "no_identity")


def test_the_vendors_role_stands_unless_the_mapping_names_another() -> None:
    assert mapped(AS_PROPOSED).account["role"] == "editor"
    assert mapped([*AS_PROPOSED, {"source": "locality", "target": "role"}]).account["role"] == "London"


def test_common_fields_stand_on_both_sides_and_custom_ones_on_their_own() -> None:
    done = mapped(
        [
            *AS_PROPOSED,
            {"source": "locality", "target": "location"},
            {"source": "mfa_enabled", "target": "account.mfa"},
            {"source": "locality", "target": "person.town"},
        ]
    )
    assert done.account["fields"] == {"location": "London", "mfa": False}
    assert done.person["fields"] == {"location": "London", "town": "London"}


def test_tracking_sources_tell_the_credential_and_the_time() -> None:
    assert account_field("connect.credentials") == "PingOne reader"
    assert account_field("connector.sync_time") == "2026-11-03T09:30:00.000Z"
    rows = [{"source": "connector.sync_time", "target": "account.at"}, *AS_PROPOSED]
    assert UserMapping(rows).tracking == {"account.at"}


def test_any_place_of_the_raw_record_can_be_mapped() -> None:
    assert account_field("raw.profiles[0].provider") == "OKTA"
    assert account_field("raw.profiles[1].provider") is None
    assert account_field("raw.profiles.provider") is None
    assert account_field("raw.nick[0]") is None


@pytest.mark.parametrize("empty", [None, "", "  ", [], {}])
def test_missing_null_and_empty_are_the_default_or_null(empty: object) -> None:
    who = user(raw={"x": empty})
    assert account_field("raw.x", who=who) is None
    assert account_field("raw.x", who=who, default=7) == 7
    assert account_field("raw.y", who=who, default="none") == "none"
    assert (
        mapped([*AS_PROPOSED, {"source": "raw.x", "target": "title", "default": 7}], who).person["fields"]["title"]
        == "7"
    )


@pytest.mark.parametrize(
    ("transform", "value", "expected"),
    [
        (None, " as is ", " as is "),
        (None, 4.5, 4.5),
        (None, ["a", "b"], ["a", "b"]),
        ("trim", "  Ada ", "Ada"),
        ("lower", "ÄDA", "äda"),
        ("upper", "ada", "ADA"),
        ("local_part", " ada@lovelace@example.com ", "ada@lovelace"),
        ("local_part", "ada", "ada"),
        ("date", "2019-05-04T23:00:00-05:00", "2019-05-04"),
        ("date", "2019-05-04", "2019-05-04"),
        ("boolean", "ENABLED", True),
        ("boolean", "no", False),
        ("boolean", False, False),
        ("number", "12", 12),
        ("number", " 1.5e3 ", 1500.0),
        ("number", 3, 3),
    ],
)
def test_transforms(transform: str | None, value: object, expected: object) -> None:
    found = account_field("raw.x", who=user(raw={"x": value}), transform=transform)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("transform", "value"),
    [
        ("date", "4 May"),
        ("date", 20190504),
        ("boolean", "perhaps"),
        ("number", "many"),
        ("number", "nan"),
        ("number", True),
        (None, {"a": 1}),
        ("lower", {"a": 1}),
    ],
)
def test_a_value_that_the_field_cannot_take_leaves_it_null_and_is_told_without_the_value(
    transform: str | None, value: object
) -> None:
    row = {"source": "raw.x", "target": "account.x", "transform": transform, "default": "d"}
    rows: list[dict[str, Any]] = [*AS_PROPOSED, row]
    done = mapped(rows, user(raw={"x": value}))
    assert done.account["fields"] == {"x": None}
    assert done.rejected is None
    (error,) = done.errors
    assert (error.vendor_id, error.code) == ("u1", "bad_value")
    assert "raw.x" in error.detail
    assert "account.x" in error.detail
    assert str(value) not in error.detail


def test_columns_are_texts() -> None:
    rows = [*AS_PROPOSED, {"source": "raw.level", "target": "role"}]
    assert mapped(rows, user(raw={"level": 3})).account["role"] == "3"
    assert mapped(rows, user(raw={"level": ["a", "b"]})).account["role"] == "a, b"


def test_rows_for_new_records_only_are_told() -> None:
    rows = [*AS_PROPOSED, {"source": "locality", "target": "location", "on": "create_only"}]
    assert UserMapping(rows).create_only == {"location"}


def test_a_good_mapping_has_no_errors() -> None:
    rows = [
        *AS_PROPOSED,
        {"source": "raw.profiles[0].provider", "target": "person.provider", "transform": "lower"},
        {"source": "connect.credentials", "target": "account.from"},
        {"source": "locality", "target": "location", "on": "create_only", "default": "?"},
    ]
    assert mapping_errors(rows, FIELDS) == []
    assert missing_targets(rows) == []


@pytest.mark.parametrize(
    ("row", "pointer"),
    [
        ({"source": "e-mail", "target": "title"}, "#/items/5/source"),
        ({"source": "raw", "target": "title"}, "#/items/5/source"),
        ({"source": "raw.", "target": "title"}, "#/items/5/source"),
        ({"source": "raw.a..b", "target": "title"}, "#/items/5/source"),
        ({"source": "raw.a[x]", "target": "title"}, "#/items/5/source"),
        ({"source": "connector.name", "target": "title"}, "#/items/5/source"),
        ({"source": "email", "target": "mail"}, "#/items/5/target"),
        ({"source": "email", "target": "account."}, "#/items/5/target"),
        ({"source": "email", "target": "account.Bad Key"}, "#/items/5/target"),
        ({"source": "email", "target": "email"}, "#/items/5/target"),
        ({"source": "email", "target": "title", "transform": "reverse"}, "#/items/5/transform"),
    ],
)
def test_what_is_wrong_with_a_row_is_named(row: dict[str, Any], pointer: str) -> None:
    assert [error.pointer for error in mapping_errors([*AS_PROPOSED, row], FIELDS)] == [pointer]


def test_what_a_mapping_lacks_is_named() -> None:
    assert [e.pointer for e in missing_targets([])] == ["#/mapping/email", "#/mapping/name"]
    assert missing_targets([{"source": "username", "target": "username"}, {"source": "name", "target": "name"}]) == []
