from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.clock import today
from app.core.ids import new_id
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.licences.world import Licences, day


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Licences]:
    yield Licences(api.runtime.database)


@pytest_asyncio.fixture
async def application(books: Licences) -> UUID:
    return await books.application(await books.instance(str(new_id())), "CRM")


def body(application: UUID, **members: Any) -> dict[str, Any]:
    return {
        "application_id": str(application), "seats": 20, "price_per_seat": "12.5", "currency": "EUR",
        "term": "annual", "starts_on": "2026-01-01", "renews_on": "2027-01-01", **members,
    }  # fmt: skip


async def made(api: Api, application: UUID, **members: Any) -> str:
    answer = await api.post("/v1/contracts", json=body(application, **members))
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def test_a_contract_is_kept_as_it_was_said(api: Api, application: UUID) -> None:
    answer = await api.post("/v1/contracts", json=body(application))
    assert answer.status_code == 201, answer.text
    contract = answer.json()
    assert {name: contract[name] for name in body(application)} == body(application, price_per_seat="12.50")
    assert (contract["grace_days"], contract["created_by"]["name"]) == (30, "an admin")
    again = await api.get(answer.headers["Location"])
    assert (again.json(), again.headers["ETag"]) == (contract, answer.headers["ETag"])
    event = (await api.get(f"/v1/audit-events?resource_id={contract['id']}")).json()["items"][0]
    assert (event["action"], event["before"], event["after"]["price_per_seat"]) == ("contract.created", None, "12.50")


@pytest.mark.parametrize(
    ("sent", "shown"), [("0", "0.00"), ("7.1", "7.10"), ("0.0125", "0.0125"), ("99999.9990", "99999.999")]
)
async def test_a_price_stays_exact(api: Api, application: UUID, sent: str, shown: str) -> None:
    answer = await api.post("/v1/contracts", json=body(application, price_per_seat=sent))
    assert answer.json()["price_per_seat"] == shown


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("application_id", str(UUID(int=7))),
        ("seats", -1),
        ("seats", "20"),
        ("price_per_seat", 12.5),
        ("price_per_seat", "12.50001"),
        ("price_per_seat", "-1"),
        ("price_per_seat", "1e3"),
        ("currency", "eur"),
        ("currency", "XYZ"),
        ("term", "weekly"),
        ("starts_on", "2026-02-30"),
        ("starts_on", 1767225600),
        ("renews_on", "2026-01-01"),
        ("grace_days", 3651),
        ("grace_days", -1),
        ("colour", "red"),
    ],
)
async def test_bad_members_are_named(api: Api, application: UUID, member: str, value: object) -> None:
    answer = await api.post("/v1/contracts", json=body(application, **{member: value}))
    problem = assert_problem(answer, 422)
    assert [error["pointer"] for error in problem["errors"]] == [f"#/{member}"]


@pytest.mark.parametrize(
    ("starts_on", "renews_on", "overlaps"),
    [
        ("2025-01-01", "2026-01-01", False),
        ("2025-01-01", "2026-01-02", True),
        ("2025-01-01", None, True),
        ("2026-05-01", "2026-06-01", True),
        ("2026-12-31", "2027-12-31", True),
        ("2027-01-01", None, False),
        ("2025-01-01", "2028-01-01", True),
    ],
)
async def test_terms_of_one_application_do_not_overlap(
    api: Api, books: Licences, application: UUID, starts_on: str, renews_on: str | None, overlaps: bool
) -> None:
    first = await made(api, application)
    term = {"starts_on": starts_on, "renews_on": renews_on}
    answer = await api.post("/v1/contracts", json=body(application, **term))
    if not overlaps:
        assert answer.status_code == 201
        # The other end of the same rule: the second, stretched over the first.
        stretched = {"starts_on": "2020-01-01", "renews_on": None}
        changed = await api.patch(f"/v1/contracts/{answer.json()['id']}", json=stretched)
        assert assert_problem(changed, 409)["contracts"][0]["id"] == first
        return
    problem = assert_problem(answer, 409)
    assert problem["contracts"] == [{"id": first, "starts_on": "2026-01-01", "renews_on": "2027-01-01"}]
    assert first in problem["detail"]
    other = await books.application(await books.instance(str(new_id())), "Other")
    assert (await api.post("/v1/contracts", json=body(other, **term))).status_code == 201


async def test_of_two_that_overlap_and_come_at_once_one_is_kept(api: Api, application: UUID) -> None:
    answers = await asyncio.gather(*(api.post("/v1/contracts", json=body(application)) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_a_contract_is_changed_and_deleted(api: Api, application: UUID) -> None:
    path = f"/v1/contracts/{await made(api, application)}"
    stale = (await api.get(path)).headers["ETag"]
    changed = await api.patch(path, json={"seats": 30, "renews_on": None}, headers={"If-Match": stale})
    assert changed.status_code == 200
    assert (changed.json()["seats"], changed.json()["renews_on"]) == (30, None)
    assert_problem(await api.patch(path, json={"seats": 31}, headers={"If-Match": stale}), 412)
    bad = assert_problem(await api.patch(path, json={"renews_on": "2025-01-01"}), 422)
    assert bad["errors"][0]["pointer"] == "#/renews_on"
    assert_problem(await api.patch(path, json={"application_id": str(application)}), 422)
    assert_problem(await api.patch(path, json={"seats": None}), 422)
    assert_problem(await api.delete(path, headers={"If-Match": stale}), 412)
    assert (await api.get(path)).json() == changed.json()
    assert (await api.delete(path)).status_code == 204
    assert_problem(await api.get(path), 404)
    events = (await api.get(f"/v1/audit-events?resource_id={changed.json()['id']}")).json()["items"]
    assert [event["action"] for event in events] == ["contract.deleted", "contract.updated", "contract.created"]
    assert events[1]["before"] == {"seats": 20, "renews_on": "2027-01-01"}


async def test_contracts_are_filtered_and_sorted(api: Api, books: Licences) -> None:
    instance = await books.instance(str(new_id()))
    found = {}
    for name, days in (("soon", 0), ("later", 60), ("far", 61), ("past", -1), ("never", None)):
        found[name] = await books.contract(
            await books.application(instance, name), renews_on=None if days is None else day(days)
        )
    names = {str(contract): name for name, contract in found.items()}

    async def listed(query: str) -> list[str]:
        items = (await api.get(f"/v1/contracts?limit=200&{query}")).json()["items"]
        return [names[item["id"]] for item in items if item["id"] in names]

    assert await listed("renewing_within=60d&sort=renews_on") == ["soon", "later"]
    assert await listed("renewing_within=1d") == ["soon"]
    assert await listed("sort=renews_on") == ["past", "soon", "later", "far", "never"]
    assert await listed("sort=-renews_on") == ["never", "far", "later", "soon", "past"]
    assert await listed("") == ["never", "past", "far", "later", "soon"]
    seen: list[str] = []
    path, cursor = "/v1/contracts?sort=renews_on&limit=2&count=true", None
    while cursor is not None or not seen:
        page = (await api.get(path + (f"&cursor={cursor}" if cursor else ""))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == page["total"]
    application = await books.database.pool.fetchval("SELECT application_id FROM contracts WHERE id = $1", found["far"])
    assert await listed(f"application_id={application}") == ["far"]
    for query in ("renewing_within=60", "renewing_within=0d", "sort=seats"):
        assert_problem(await api.get(f"/v1/contracts?{query}"), 422)


async def test_contracts_of_what_is_leaving_are_not_there(api: Api, books: Licences) -> None:
    instance = await books.instance(str(new_id()))
    application = await books.application(instance, "CRM")
    contract = await books.contract(application)
    await books.database.pool.execute("UPDATE instances SET leaving = true WHERE id = $1", instance)
    assert_problem(await api.get(f"/v1/contracts/{contract}"), 404)
    assert (await api.get(f"/v1/contracts?application_id={application}")).json()["items"] == []
    answer = await api.post("/v1/contracts", json=body(application, starts_on=str(today()), renews_on=None))
    assert assert_problem(answer, 422)["errors"][0]["pointer"] == "#/application_id"


async def test_admins_write_and_viewers_read(api: Api, application: UUID) -> None:
    path = f"/v1/contracts/{await made(api, application)}"
    operator, viewer = await api.as_role("operator"), await api.as_role("viewer")
    assert_problem(await operator.post("/v1/contracts", json=body(application)), 403)
    assert_problem(await operator.patch(path, json={"seats": 1}), 403)
    assert_problem(await operator.delete(path), 403)
    assert (await viewer.get(path)).status_code == (await viewer.get("/v1/contracts")).status_code == 200
