from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from app.connectors.contract import Application, Rejected, Use, User
from app.connectors.pingone import MANIFEST, read_fault
from app.connectors.pingone.records import read_application, read_use, read_user
from app.core.errors import InvalidOptions, UnexpectedAnswer

from .suite import NOW, SECRET, SINCE, ConnectorSuite, FakeVendor, pages, records

ENV = "6f1c0d4e-0000-4000-8000-000000000001"
OTHER_ENV = "6f1c0d4e-0000-4000-8000-000000000002"
WORKER = "2c9a0000-0000-4000-8000-0000000000aa"
ROLES = {
    "r1": "Client Application Developer",
    "r2": "Environment Admin",
    "r3": "Identity Data Admin",
    "r4": "Configuration Read-Only Admin",
    "r5": "Identity Data Read-Only Admin",
}


def person(number: int, **other: Any) -> dict[str, Any]:
    return {
        "_embedded": {"password": {"status": "OK"}},
        "id": f"0d2b7c10-0000-4000-8000-{number:012d}",
        "environment": {"id": ENV},
        "account": {"canAuthenticate": True, "status": "OK"},
        "address": {"locality": "Lund", "region": "Skåne"},
        "email": f"ines{number}@example.test",
        "enabled": True,
        "lifecycle": {"status": "ACCOUNT_OK"},
        "mfaEnabled": False,
        "name": {"given": "Ines", "family": "Holm"},
        "type": "Employee",
        "username": f"ines{number}",
        "verifyStatus": "NOT_INITIATED",
        **other,
    }


def hal(collection: str, rows: list[Any], following: str | None = None, **more: Any) -> httpx.Response:
    links = {"self": {"href": "https://api.pingone.eu/v1/x"}} | ({"next": {"href": following}} if following else {})
    return httpx.Response(200, json={"_links": links, "_embedded": {collection: rows}, "size": len(rows), **more})


class FakePingOne(FakeVendor):
    key = "pingone"
    scheme = "oauth2_client_credentials"
    secrets: ClassVar[Mapping[str, str]] = {"client_id": WORKER, "client_secret": SECRET}
    options: ClassVar[Mapping[str, Any]] = {"region": "eu", "environment_id": ENV}

    def __init__(self, people: int = 5) -> None:
        super().__init__(people)
        self.grants = [("r1", "ENVIRONMENT", ENV), ("r2", "ORGANIZATION", "o"), ("r3", "ENVIRONMENT", ENV)]
        self.shut: set[str] = set()

    def is_users(self, request: httpx.Request) -> bool:
        return request.url.path.endswith("/users")

    def api(self, request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        if last in self.shut:
            return httpx.Response(403, json={"id": "1", "code": "ACCESS_FAILED", "message": "no"})
        query = request.url.params
        if last == "users":
            start = int(query.get("cursor", "0"))
            rows = [person(n) for n in range(start, min(start + 2, self.people))]
            more = start + 2 < self.people
            link = f"https://api.pingone.eu/v1/environments/{ENV}/users?cursor={start + 2}&limit=200"
            return hal("users", rows, link if more else None, count=self.people)
        if last == "roles":
            return hal("roles", [{"id": key, "name": name} for key, name in ROLES.items()])
        if last == "roleAssignments":
            return hal(
                "roleAssignments", [{"role": {"id": r}, "scope": {"type": t, "id": i}} for r, t, i in self.grants]
            )
        if last in {"applications", "activities"}:
            return hal(last, [])
        return httpx.Response(404, json={"id": "1", "code": "NOT_FOUND", "message": "no"})

    def same_next(self, answer: httpx.Response) -> httpx.Response:
        body = json.loads(answer.content)
        body["_links"]["next"] = {"href": f"https://api.pingone.eu/v1/environments/{ENV}/users?cursor=2"}
        return httpx.Response(200, json=body)

    def foreign_next(self, answer: httpx.Response) -> httpx.Response:
        return hal("users", [], f"https://stranger.example/v1/environments/{ENV}/users?cursor=2")


class TestSuite(ConnectorSuite):
    vendor = FakePingOne


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def user(**other: Any) -> User:
    read = read_user(raw(person(1, **other)))
    assert isinstance(read, User)
    return read


def test_a_user_has_the_seven_metadata_fields() -> None:
    assert user().metadata == {
        "can_authenticate": True,
        "locality": "Lund",
        "mfa_enabled": False,
        "region": "Skåne",
        "status": "active",
        "type": "Employee",
        "verify_status": "NOT_INITIATED",
    }


def test_what_is_absent_or_empty_is_null_and_no_metadata_key_is_missing() -> None:
    read = read_user(raw({"id": "u", "username": "ada", "type": "", "email": " "}))
    assert isinstance(read, User)
    assert read.email is None
    assert read.name == "ada"
    assert set(read.metadata) == set(user().metadata)
    assert [key for key, value in read.metadata.items() if value is not None] == ["status"]


@pytest.mark.parametrize(
    ("change", "status", "active"),
    [
        ({"enabled": False, "account": {"status": "LOCKED"}}, "disabled", False),
        ({"enabled": "DISABLED"}, "disabled", False),
        ({"account": {"status": "LOCKED"}, "lifecycle": {"status": "VERIFICATION_REQUIRED"}}, "locked", True),
        ({"lifecycle": {"status": "VERIFICATION_REQUIRED"}}, "verification_required", True),
        ({}, "active", True),
    ],
)
def test_the_status_is_the_first_that_holds(change: dict[str, Any], status: str, active: bool) -> None:
    read = user(**change)
    assert (read.vendor_status, read.metadata["status"], read.active) == (status, status, active)


def test_the_formatted_name_goes_before_its_parts() -> None:
    assert user(name={"formatted": "Dr. Ines Holm", "given": "Ines"}).name == "Dr. Ines Holm"
    assert user().name == "Ines Holm"


def test_a_strange_side_field_costs_that_field_only() -> None:
    read = user(address="Lund", mfaEnabled=[1], name=7, username=12, account=None)
    assert (read.username, read.name, read.metadata["locality"], read.metadata["mfa_enabled"]) == (
        "12",
        "12",
        None,
        None,
    )


def test_a_record_that_names_nobody_is_rejected_under_its_id() -> None:
    assert read_user(raw(person(1, email="", username=None))) == Rejected(
        person(1)["id"], "no_identity", "The record has neither an e-mail address nor a username."
    )
    assert isinstance(read_user(raw({"username": "ada"})), Rejected)
    assert isinstance(read_user(msgspec.Raw(b'{"id": "u", "username": "\xff"}')), Rejected)


def test_the_raw_record_is_kept_without_the_password_state() -> None:
    assert b"_embedded" not in user().raw
    assert json.loads(user().raw)["username"] == "ines1"


def test_nul_characters_never_reach_the_books() -> None:
    read = user(username="a\x00b", type="x\x00")
    assert read.username == "ab"
    assert read.metadata["type"] == "x"
    assert b"\\u0000" not in read.raw


def application(**other: Any) -> Application:
    read = read_application(raw({"id": "a1", "name": "Ledgerly", "enabled": True, "type": "WEB_APP", **other}))
    assert isinstance(read, Application)
    return read


def test_who_may_use_an_application() -> None:
    group = {"type": "ALL_GROUPS", "groups": [{"id": "g1"}, {"id": "g2"}]}
    both = application(accessControl={"role": {"type": "ADMIN_USERS_ONLY"}, "group": group})
    assert application().access == "open"
    assert application(accessControl={"group": {"type": "ANY_GROUP", "groups": []}}).access == "open"
    assert both.access == "admins"
    grouped = application(accessControl={"group": group})
    assert (grouped.access, grouped.groups, grouped.groups_match) == ("groups", ("g1", "g2"), "all")
    assert application(accessControl={"group": {**group, "type": "ANY_GROUP"}}).groups_match == "any"


def test_an_application_is_active_unless_disabled_in_either_spelling() -> None:
    states = [application(enabled=value).active for value in (True, "ENABLED", False, "DISABLED")]
    assert states == [True, True, False, False]
    assert application().definition == application().vendor_id


async def test_pingones_own_applications_are_listed_only_when_asked_for() -> None:
    kinds = ["WEB_APP", "WORKER", "SERVICE", "PING_ONE_PORTAL", "PING_ONE_ANYTHING"]
    vendor = FakePingOne()
    vendor.fault = lambda _: hal("applications", [{"id": k, "name": k, "enabled": True, "type": k} for k in kinds])
    (page,) = await pages(vendor.connect().applications())
    assert [entry.vendor_id for entry in page.records] == ["WEB_APP"]
    assert page.ignored == 4
    everything = await records(vendor.connect(include_own_applications=True).applications())
    assert [entry.own for entry in everything] == [False, True, True, True, True]


async def test_the_members_of_a_group_are_asked_for_by_filter() -> None:
    vendor = FakePingOne(people=3)
    members = await records(vendor.connect().assignments('g"1'))
    assert [(m.scope_id, m.user_id) for m in members] == [('g"1', person(n)["id"]) for n in range(3)]
    params = vendor.sent("/users")[0].url.params
    assert params["filter"] == 'memberOfGroups[id eq "g\\"1"]'
    assert params["limit"] == "200"


async def test_a_group_deleted_meanwhile_has_no_members() -> None:
    vendor = FakePingOne()
    vendor.fault = lambda _: httpx.Response(404, json={"code": "NOT_FOUND", "message": "gone"})
    (page,) = await pages(vendor.connect().assignments("g1"))
    assert (page.records, page.last) == ((), True)


async def test_an_unknown_environment_is_told_as_such() -> None:
    vendor = FakePingOne()
    vendor.fault = lambda _: httpx.Response(404, json={"code": "NOT_FOUND", "message": "no environment"})
    with pytest.raises(InvalidOptions, match=ENV):
        await pages(vendor.connect().users())


def event(**other: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "recordedAt": "2026-11-20T07:55:01.402Z",
        "actors": {"client": {"id": "a1", "type": "CLIENT"}, "user": {"id": "u1", "type": "USER"}},
        "action": {"type": "USER.ACCESS_ALLOWED"},
        "result": {"status": "SUCCESS"},
        **other,
    }


def test_an_allowed_access_is_one_use() -> None:
    at = datetime(2026, 11, 20, 7, 55, 1, 402000, tzinfo=UTC)
    assert read_use(raw(event()), set()) == Use("a1", "u1", at)


@pytest.mark.parametrize(
    "change",
    [
        {"action": {"type": "USER.ACCESS_DENIED"}},
        {"result": {"status": "FAILED"}},
        {"actors": None},
        {"actors": {"client": {"id": "a1"}}},
        {"actors": {"user": {"id": "u1"}}},
    ],
)
def test_other_events_are_no_use(change: dict[str, Any]) -> None:
    assert read_use(raw(event(**change)), set()) is None


def test_the_same_event_counts_once_and_a_timeless_one_is_rejected() -> None:
    seen: set[str] = set()
    assert [read_use(raw(event()), seen) is None for _ in range(3)] == [False, True, True]
    assert isinstance(read_use(raw(event(id="e2", recordedAt="yesterday")), seen), Rejected)


async def test_activity_is_asked_for_by_time_and_kind_and_keeps_no_cursor() -> None:
    vendor = FakePingOne()
    vendor.fault = lambda _: hal("activities", [event(), event(), event(id="e2", actors={})])
    (page,) = await pages(vendor.connect().activity(SINCE, NOW))
    assert (len(page.records), page.ignored, page.last, page.cursor) == (1, 2, True, None)
    assert vendor.sent("/activities")[0].url.params["filter"] == (
        'recordedAt gt "2026-11-15T11:59:59.999Z" and recordedAt lt "2026-11-22T12:00:00.000Z"'
        ' and action.type eq "USER.ACCESS_ALLOWED"'
    )


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        ([], ["Client Application Developer", "Environment Admin", "Identity Data Admin"]),
        ([("r1", "ENVIRONMENT", ENV), ("r2", "ENVIRONMENT", ENV)], ["Identity Data Admin"]),
        ([("r4", "ENVIRONMENT", ENV), ("r5", "ENVIRONMENT", ENV)], []),
        (
            [("r1", "ENVIRONMENT", ENV), ("r2", "ENVIRONMENT", OTHER_ENV), ("r3", "ORGANIZATION", "o")],
            ["Environment Admin"],
        ),
    ],
)
async def test_check_names_the_roles_that_are_missing(grants: list[tuple[str, str, str]], missing: list[str]) -> None:
    vendor = FakePingOne()
    vendor.grants = grants
    check = await vendor.connect().check()
    assert list(check.missing) == missing
    assert check.ok is not bool(missing)
    assert check.code == ("insufficient_permissions" if missing else None)
    assert set(check.granted) <= set(ROLES.values())
    assert (check.tenant, check.subject) == (ENV, f"…{WORKER[-4:]}")


async def test_check_warns_of_a_role_for_one_population() -> None:
    vendor = FakePingOne()
    vendor.grants[2] = ("r5", "POPULATION", "p1")
    check = await vendor.connect().check()
    assert check.ok
    assert "population" in check.warnings[0]


async def test_a_custom_role_is_judged_by_what_it_can_read() -> None:
    vendor = FakePingOne()
    vendor.grants = [("of-our-own", "ENVIRONMENT", ENV)]
    assert (await vendor.connect().check()).ok
    vendor.shut = {"activities"}
    assert (await vendor.connect().check()).missing == ("Environment Admin",)


async def test_a_worker_that_may_not_see_its_roles_is_tried() -> None:
    vendor = FakePingOne()
    vendor.shut = {"roleAssignments", "users"}
    check = await vendor.connect().check()
    assert check.missing == ("Identity Data Admin",)
    assert set(check.granted) == {"Client Application Developer", "Environment Admin"}


async def test_the_worker_may_live_in_another_environment() -> None:
    vendor = FakePingOne()
    check = await vendor.connect(auth_environment_id=OTHER_ENV).check()
    assert check.ok
    assert vendor.sent("/roleAssignments")[0].url.path.startswith(f"/v1/environments/{OTHER_ENV}/")


def test_errors_are_read_in_pingones_words() -> None:
    body = {
        "id": "1",
        "code": "INVALID_DATA",
        "message": "Bad.",
        "details": [{"code": "INVALID_VALUE", "message": "Limit."}],
    }
    fault = read_fault(400, httpx.Headers(), json.dumps(body).encode())
    assert (fault.code, fault.message) == ("INVALID_DATA", "Bad. Limit.")
    assert read_fault(500, httpx.Headers(), b"<html>").code is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"region": "EU"}, "'eu'"),
        ({"region": "NA"}, "North America is com"),
        ({"environment_id": "prod"}, "UUID"),
        ({"api_url": "api.example.com"}, "whole URL"),
        ({"include_own_applications": "yes"}, "true or false"),
        ({"tenant": "x"}, "has no option"),
    ],
)
def test_a_wrong_option_says_what_to_type(options: dict[str, Any], words: str) -> None:
    (error,) = MANIFEST.option_errors(options)
    assert words in error.detail
    assert error.pointer == f"#/options/{next(iter(options))}"


async def test_a_page_that_vanishes_in_the_middle_is_not_blamed_on_the_options() -> None:
    vendor = FakePingOne()
    gone = httpx.Response(404, json={"code": "NOT_FOUND", "message": "no"})
    vendor.page = lambda request, answer: gone if "cursor" in request.url.params else answer
    with pytest.raises(UnexpectedAnswer):
        await pages(vendor.connect().users())


def test_an_access_without_an_acting_user_is_that_of_the_user_accessed() -> None:
    resources = [{"type": "GROUP", "id": "g1"}, {"type": "USER", "id": "u1"}]
    use = read_use(raw(event(actors={"client": {"id": "a1"}}, resources=resources)), set())
    assert isinstance(use, Use)
    assert (use.application_id, use.user_id) == ("a1", "u1")
