"""Splitting and merging over the API; what it does to the books is told in tests/sync/test_regrouping.py."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest_asyncio

from tests.api.books import Books
from tests.api.problems import assert_problem
from tests.conftest import Api


@dataclass(frozen=True)
class Desk:
    """An application of two labels, and another of one."""

    instance: UUID
    joined: UUID
    single: UUID
    books: Books


@pytest_asyncio.fixture
async def desk(api: Api) -> Desk:
    books = Books(api.runtime.database)
    instance = await books.instance(f"Okta {uuid4()}")
    joined, single = await books.application(instance, "Desk"), await books.application(instance, "Mail")
    for vendor_id, application in (("d1", joined), ("d2", joined), ("m1", single)):
        await books.database.pool.execute(
            "INSERT INTO application_entries (instance_id, vendor_id, application_id, label, definition, active,"
            " access) VALUES ($1, $2, $3, $2, 'desk', true, 'assigned')",
            instance, vendor_id, application,
        )  # fmt: skip
    return Desk(instance, joined, single, books)


async def test_a_label_is_split_off_and_joined_again(api: Api, desk: Desk) -> None:
    base = f"/v1/instances/{desk.instance}"
    split = await api.post(f"{base}/split", json={"application_id": str(desk.joined), "vendor_id": "d1", "name": "IT"})
    assert split.status_code == 201, split.text
    made = split.json()
    assert split.headers["Location"] == f"/v1/applications/{made['id']}"
    assert (made["name"], made["labels"]) == ("IT", [{"vendor_id": "d1", "label": "d1"}])
    left = (await api.get(f"/v1/applications/{desk.joined}")).json()
    assert (left["vendor_id"], left["labels"]) == ("d2", [{"vendor_id": "d2", "label": "d2"}])
    merged = await api.post(f"{base}/merge", json={"application_id": made["id"], "into": str(desk.joined)})
    assert merged.status_code == 200, merged.text
    assert [label["vendor_id"] for label in merged.json()["labels"]] == ["d1", "d2"]
    assert_problem(await api.get(f"/v1/applications/{made['id']}"), 404)
    events = (await api.get("/v1/audit-events?limit=2")).json()["items"]
    assert [event["action"] for event in events] == ["application.updated", "application.created"]
    assert events[0]["after"] == {"joined": {"id": made["id"], "name": "IT"}}


async def test_what_was_bought_and_spared_is_joined_too(api: Api, desk: Desk) -> None:
    pool = desk.books.database.pool
    kept, gone = [await desk.books.account(each, "Ada", vendor_id="u1") for each in (desk.joined, desk.single)]
    terms = {"seats": 5, "price_per_seat": "9.50", "currency": "EUR", "term": "monthly"}
    for application, starts, renews in (
        (desk.joined, "2026-01-01", None),
        (desk.single, "2025-01-01", "2026-01-01"),
        (desk.single, "2026-06-01", None),
    ):
        body = {**terms, "application_id": str(application), "starts_on": starts, "renews_on": renews}
        made = await api.post("/v1/contracts", json=body)
        assert made.status_code == 201, made.text
    spared = await api.post("/v1/licence-exemptions", json={"account_id": str(gone), "reason": "on leave"})
    assert spared.status_code == 201, spared.text
    body = {"application_id": str(desk.single), "into": str(desk.joined)}
    merged = await api.post(f"/v1/instances/{desk.instance}/merge", json=body)
    assert merged.status_code == 200, merged.text
    assert await pool.fetchval("SELECT account_id FROM licence_exemptions WHERE id = $1", spared.json()["id"]) == kept
    listed = (await api.get(f"/v1/contracts?application_id={desk.joined}")).json()["items"]
    assert sorted(each["starts_on"] for each in listed) == ["2025-01-01", "2026-01-01"]


async def test_regrouping_is_for_admins(api: Api, desk: Desk) -> None:
    operator = await api.as_role("operator")
    base = f"/v1/instances/{desk.instance}"
    body = {"application_id": str(desk.single), "into": str(desk.joined)}
    assert_problem(await operator.post(f"{base}/merge", json=body), 403)
    assert_problem(await operator.post(f"{base}/split", json={**body, "vendor_id": "d1"}), 403)


async def test_what_cannot_be_regrouped_is_told(api: Api, desk: Desk) -> None:
    base = f"/v1/instances/{desk.instance}"

    async def split(application: UUID, vendor_id: str) -> tuple[int, str]:
        body = {"application_id": str(application), "vendor_id": vendor_id}
        answer = await api.post(f"{base}/split", json=body)
        return answer.status_code, answer.json().get("errors", [{}])[0].get("pointer", "")

    assert await split(desk.joined, "m1") == (422, "#/vendor_id")
    assert await split(uuid4(), "d1") == (422, "#/application_id")
    assert await split(desk.single, "m1") == (409, "")
    own = await desk.books.application(desk.instance, "Okta", key="", kind="integrated", vendor_id=None)
    for origin, into, pointer in (
        (desk.joined, desk.joined, "#/into"),
        (desk.joined, uuid4(), "#/into"),
        (own, desk.joined, "#/application_id"),
    ):
        answer = await api.post(f"{base}/merge", json={"application_id": str(origin), "into": str(into)})
        assert assert_problem(answer, 422)["errors"][0]["pointer"] == pointer
    missing = {"application_id": str(desk.single), "into": str(desk.joined)}
    assert_problem(await api.post(f"/v1/instances/{uuid4()}/merge", json=missing), 404)
    sync = await desk.books.sync(desk.instance, status="running")
    assert assert_problem(await api.post(f"{base}/merge", json=missing), 409)["sync_id"] == str(sync)
