from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from app.connectors.contract import Application, Rejected, Use, User
from app.connectors.okta import read_fault
from app.connectors.okta.records import read_application, read_assignment, read_use, read_user
from app.core.errors import CursorRefused, InsufficientPermissions, PagingError

from .fake_okta import HOST, FakeOkta, listing, person
from .suite import NOW, SINCE, ConnectorSuite, pages, records


class TestSuite(ConnectorSuite):
    vendor = FakeOkta


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def user(status: str = "ACTIVE", **profile: Any) -> User:
    read = read_user(raw(person(1, status, **profile)))
    assert isinstance(read, User)
    return read


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ("ACTIVE", True),
        ("LOCKED_OUT", True),
        ("PASSWORD_EXPIRED", True),
        ("PROVISIONED", True),
        ("RECOVERY", True),
        ("STAGED", True),
        ("SUSPENDED", False),
        ("DEPROVISIONED", False),
    ],
)
def test_only_suspended_and_deprovisioned_are_inactive(status: str, active: bool) -> None:
    assert (user(status).active, user(status).vendor_status) == (active, status)


def test_metadata_has_the_status_and_every_profile_attribute() -> None:
    custom = {"employeeID": "7", "tags": ["a", ""], "status": "mine", "nested": {"a": 1}}
    read = read_user(raw({**person(1), "profile": {**person(1)["profile"], **custom}}))
    assert isinstance(read, User)
    assert read.metadata == {
        "login": "ines1@example.test",
        "email": "ines1@example.test",
        "first_name": "Ines",
        "last_name": "Holm",
        "mobile_phone": None,
        "cost_center": "R&D",
        "employee_id": "7",
        "tags": ["a", None],
        "nested": None,
        "status": "ACTIVE",
    }


def test_the_name_is_the_display_name_or_first_and_last() -> None:
    assert user().name == "Ines Holm"
    assert user(displayName="Dr. Holm").name == "Dr. Holm"
    assert user(firstName="", lastName=None).name == "ines1@example.test"


def test_a_user_without_login_and_email_is_rejected() -> None:
    read = read_user(raw({"id": "00u1", "status": "STAGED", "profile": None}))
    assert isinstance(read, Rejected)
    assert (read.vendor_id, read.code) == ("00u1", "no_identity")


def test_credentials_are_not_kept_in_the_raw_record() -> None:
    read = read_user(raw({**person(1), "credentials": {"recovery_question": {"question": "Cat?"}}}))
    assert isinstance(read, User)
    assert b"Cat?" not in read.raw


async def test_users_come_in_two_passes_and_lean() -> None:
    vendor = FakeOkta(people=6)
    users = await records(vendor.connect().users())
    assert [u.vendor_status for u in users].count("DEPROVISIONED") == 2
    first, second = vendor.sent("/users")[0], vendor.sent("/users")[-1]
    assert dict(first.url.params) == {"limit": "200"}
    assert dict(second.url.params) == {"limit": "200", "filter": 'status eq "DEPROVISIONED"'}
    assert "omitCredentials" in first.headers["content-type"]


async def test_a_damaged_user_cursor_starts_anew() -> None:
    with pytest.raises(CursorRefused):
        await pages(FakeOkta().connect().users("elsewhere|/api/v1/users"))


async def test_okta_says_that_a_cursor_is_stale_in_the_middle_of_a_read() -> None:
    vendor = FakeOkta()
    refusal = httpx.Response(400, json={"errorCode": "E0000029", "errorSummary": "bad cursor"})
    vendor.page = lambda request, answer: refusal if "after" in request.url.params else answer
    with pytest.raises(CursorRefused) as caught:
        await pages(vendor.connect().users())
    assert caught.value.vendor_code == "E0000029"


async def test_behind_a_custom_domain_links_with_oktas_own_host_are_followed_on_the_custom_one() -> None:
    vendor = FakeOkta()
    users = await records(vendor.connect(sso_url="https://login.acme.example").users())
    assert len(users) == 5
    assert {request.url.host for request in vendor.requests} == {"login.acme.example"}


async def test_another_organizations_link_is_refused() -> None:
    vendor = FakeOkta()
    vendor.page = lambda _, __: listing([person(1)], "https://other.okta.com/api/v1/users?after=2")
    with pytest.raises(PagingError):
        await pages(vendor.connect().users())


def application(**other: Any) -> Application:
    read = read_application(
        raw({"id": "0oa1", "name": "ledgerly", "label": "Ledgerly EU", "status": "ACTIVE", **other})
    )
    assert isinstance(read, Application)
    return read


def test_an_application_is_its_label_of_its_definition() -> None:
    read = application()
    assert (read.name, read.definition, read.access, read.active) == ("Ledgerly EU", "ledgerly", "assigned", True)
    assert application(status="INACTIVE").active is False
    assert application(label="").name == "ledgerly"


async def test_oktas_own_applications_are_listed_only_when_asked_for() -> None:
    vendor = FakeOkta()
    names = ["saasure", "okta_enduser", "ledgerly"]
    vendor.fault = lambda _: listing([{"id": n, "name": n, "label": n, "status": "ACTIVE"} for n in names])
    assert [a.vendor_id for a in await records(vendor.connect().applications())] == ["ledgerly"]
    everything = await records(vendor.connect(include_own_applications=True).applications())
    assert [a.own for a in everything] == [True, True, False]
    assert vendor.sent("/apps")[0].url.params["limit"] == "200"


async def test_every_assignment_is_a_seat_whatever_its_status() -> None:
    vendor = FakeOkta()
    rows = [{"id": f"00u{s}", "status": s, "created": "2026-02-02T11:16:15.000Z"} for s in ("ACTIVE", "SUSPENDED")]
    vendor.fault = lambda _: listing(rows)
    seats = await records(vendor.connect().assignments("0oa/1"))
    assert [seat.user_id for seat in seats] == ["00uACTIVE", "00uSUSPENDED"]
    assert seats[0].assigned_at == datetime(2026, 2, 2, 11, 16, 15, tzinfo=UTC)
    assert vendor.requests[0].url.raw_path == b"/api/v1/apps/0oa%2F1/users?limit=500"
    assert isinstance(read_assignment(raw({"status": "ACTIVE"}), "0oa1"), Rejected)


async def test_an_application_deleted_meanwhile_has_no_seats() -> None:
    vendor = FakeOkta()
    vendor.fault = lambda _: httpx.Response(404, json={"errorCode": "E0000007", "errorSummary": "gone"})
    (page,) = await pages(vendor.connect().assignments("0oa1"))
    assert (page.records, page.last) == ((), True)


def event(**other: Any) -> dict[str, Any]:
    return {
        "uuid": "e1",
        "published": "2026-11-20T07:55:01.402Z",
        "eventType": "user.authentication.sso",
        "actor": {"id": "00u1", "type": "User"},
        "outcome": {"result": "SUCCESS"},
        "target": [{"id": "0ua1", "type": "AppUser"}, {"id": "0oa1", "type": "AppInstance"}],
        **other,
    }


def test_a_sign_on_is_one_use_of_the_application_among_its_targets() -> None:
    at = datetime(2026, 11, 20, 7, 55, 1, 402000, tzinfo=UTC)
    assert read_use(raw(event()), set()) == Use("0oa1", "00u1", at)


def test_a_time_without_zone_is_utc() -> None:
    read = read_use(raw(event(published="2022-09-09 04:26:09.792")), set())
    assert isinstance(read, Use)
    assert read.at == datetime(2022, 9, 9, 4, 26, 9, 792000, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"eventType": "user.session.start"},
        {"outcome": {"result": "FAILURE"}},
        {"outcome": None},
        {"target": None},
        {"target": [{"id": "0ua1", "type": "AppUser"}]},
        {"actor": None},
        {"actor": {"id": "0oa9", "type": "PublicClientApp"}},
    ],
)
def test_other_events_are_no_use(change: dict[str, Any]) -> None:
    assert read_use(raw(event(**change)), set()) is None


async def test_the_log_is_polled_until_it_is_empty_and_goes_on_from_there() -> None:
    vendor = FakeOkta()

    def log(request: httpx.Request) -> httpx.Response:
        place = int(request.url.params.get("after", "0"))
        rows = [[event(), event()], [event(uuid="e2")], []][min(place, 2)]
        return listing(rows, f"{HOST}/api/v1/logs?limit=1000&after={min(place + 1, 2)}")

    vendor.fault = log
    read = await pages(vendor.connect().activity(SINCE, NOW))
    assert [(len(page.records), page.ignored, page.last) for page in read] == [
        (1, 1, False),
        (1, 0, False),
        (0, 0, True),
    ]
    assert dict(vendor.requests[0].url.params) == {
        "since": "2026-11-15T12:00:00.000Z",
        "filter": 'eventType eq "user.authentication.sso"',
        "sortOrder": "ASCENDING",
        "limit": "1000",
    }
    (again,) = await pages(vendor.connect().activity(SINCE, NOW, read[-1].cursor))
    assert (again.last, again.cursor) == (True, read[-1].cursor)


async def test_a_log_that_repeats_a_cursor_on_a_full_page_is_refused() -> None:
    vendor = FakeOkta()
    vendor.fault = lambda _: listing([event()], f"{HOST}/api/v1/logs?after=1")
    with pytest.raises(PagingError):
        await pages(vendor.connect().activity(SINCE, NOW))


async def test_the_log_is_never_asked_for_more_than_okta_allows() -> None:
    vendor = FakeOkta()
    await pages(vendor.connect().activity(NOW - timedelta(days=400), NOW))
    assert vendor.requests[0].url.params["since"] > "2026-05-26"


def test_errors_are_read_in_oktas_words() -> None:
    body = {
        "errorCode": "E0000001",
        "errorSummary": "Api validation failed",
        "errorCauses": [{"errorSummary": "limit"}],
    }
    fault = read_fault(400, httpx.Headers(), json.dumps(body).encode())
    assert (fault.code, fault.message, fault.kind) == ("E0000001", "Api validation failed limit", None)
    feature = read_fault(401, httpx.Headers(), b'{"errorCode": "E0000015"}')
    assert feature.kind is InsufficientPermissions
