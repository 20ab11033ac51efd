"""Erasing a person over the API."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from app.erasure.run import run_erasure
from app.scheduler import due
from app.scheduler.jobs import JOBS
from tests.api.books import Books
from tests.api.problems import assert_problem
from tests.conftest import Api


@pytest.fixture
def books(api: Api) -> Books:
    return Books(api.runtime.database)


async def test_a_person_is_erased(api: Api, books: Books) -> None:
    application = await books.application(await books.instance(f"Okta {uuid4()}"), "Wiki")
    person = await books.person("Ada Lovelace", email="ada@example.com", username="ada.l", fields={"desk": "Ada's"})
    account = await books.account(application, "Ada Lovelace", email="ada@example.com", person_id=person)
    asked = await api.delete(f"/v1/people/{person}/data")
    assert asked.status_code == 202, asked.text
    assert asked.headers["Location"] == f"/v1/people/{person}/erasure"
    assert asked.json() == {
        "person_id": str(person), "status": "erasing", "asked_at": asked.json()["asked_at"], "erased_at": None,
        "finished_at": None,
    }  # fmt: skip
    jobs = await api.runtime.database.pool.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = 'erasure'")
    assert [str(person).encode() in job["payload"] for job in jobs] == [True]
    assert await JOBS["erasure"](api.runtime, {"person_id": str(person)}, asyncio.Event()) is None
    viewer = await api.as_role("viewer")
    done = (await viewer.get(asked.headers["Location"])).json()
    assert done["status"] == "erased"
    assert done["asked_at"] <= done["erased_at"]
    assert done["finished_at"] is not None
    shown = (await viewer.get(f"/v1/people/{person}")).json()
    assert {
        "name": "Erased person",
        "email": None,
        "username": None,
        "fields": {},
        "accounts": 1,
    }.items() <= shown.items()
    seat = (await viewer.get(f"/v1/accounts/{account}")).json()
    assert {"name": "Erased person", "email": None, "seat": "assigned", "status": "active"}.items() <= seat.items()


async def test_the_audit_says_who_erased_whom_by_id_alone(api: Api, books: Books) -> None:
    person = await books.person("Grace Hopper")
    await api.delete(f"/v1/people/{person}/data")
    (row,) = (await api.get("/v1/audit-events", params={"action": "person.erased", "resource_id": str(person)})).json()[
        "items"
    ]
    assert (row["action"], row["before"], row["after"]) == ("person.erased", None, None)
    assert row["actor"]["name"] == "an admin"


async def test_the_audit_never_has_an_exemptions_reason(api: Api, books: Books) -> None:
    application = await books.application(await books.instance(f"Okta {uuid4()}"), "Wiki")
    account = await books.account(application, "Ada Lovelace")
    body = {"account_id": str(account), "reason": "Ada is on leave"}
    made = (await api.post("/v1/licence-exemptions", json=body)).json()
    await api.delete(f"/v1/licence-exemptions/{made['id']}")
    audit = (await api.get("/v1/audit-events", params={"resource_id": made["id"]})).json()["items"]
    assert [(row["action"], (row["after"] or row["before"])["reason"]) for row in audit] == [
        ("exemption.deleted", "***"), ("exemption.created", "***"),
    ]  # fmt: skip


async def test_the_audit_has_filters_without_what_they_compare_with(api: Api) -> None:
    filters = [{"field": "email", "op": "eq", "value": "ada@example.com"}]
    body = {"name": "Hers", "dataset": "people", "columns": ["name"], "filters": filters}
    made = (await api.post("/v1/reports", json=body)).json()
    await api.patch(f"/v1/reports/{made['id']}", json={"filters": [filters[0] | {"value": "ada@example.org"}]})
    audit = (await api.get("/v1/audit-events", params={"resource_id": made["id"]})).json()["items"]
    masked = [{"field": "email", "op": "eq", "value": "***"}]
    assert [row["after"]["filters"] for row in audit] == [masked, masked]


async def test_only_admins_erase(api: Api, books: Books) -> None:
    person = await books.person("Ada Lovelace")
    for role in ("viewer", "operator"):
        assert_problem(await (await api.as_role(role)).delete(f"/v1/people/{person}/data"), 403)


async def test_whom_nobody_knows_nobody_erases(api: Api, books: Books) -> None:
    assert_problem(await api.delete(f"/v1/people/{uuid4()}/data"), 404)
    assert_problem(await api.get(f"/v1/people/{await books.person('Ada')}/erasure"), 404)
    assert_problem(await api.delete("/v1/people/ada/data"), 422)


async def test_an_etag_that_is_old_erases_nobody(api: Api, books: Books) -> None:
    person = await books.person("Ada Lovelace")
    read = await api.get(f"/v1/people/{person}")
    assert_problem(await api.delete(f"/v1/people/{person}/data", headers={"If-Match": '"another"'}), 412)
    assert_problem(await api.get(f"/v1/people/{person}/erasure"), 404)
    asked = await api.delete(f"/v1/people/{person}/data", headers={"If-Match": read.headers["ETag"]})
    assert asked.status_code == 202


async def test_asking_again_begins_anew(api: Api, books: Books) -> None:
    person = await books.person("Ada Lovelace")
    await api.delete(f"/v1/people/{person}/data")
    await run_erasure(api.runtime, person, asyncio.Event())
    await api.runtime.database.pool.execute("UPDATE people SET name = 'Ada King' WHERE id = $1", person)
    again = await api.delete(f"/v1/people/{person}/data")
    assert (again.status_code, again.json()["status"], again.json()["erased_at"]) == (202, "erasing", None)
    await run_erasure(api.runtime, person, asyncio.Event())
    assert (await api.get(f"/v1/people/{person}")).json()["name"] == "Erased person"
    assert (await api.get(f"/v1/people/{person}/erasure")).json()["status"] == "erased"


async def test_an_erasure_whose_job_was_lost_gets_another(api: Api, books: Books) -> None:
    person = await books.person("Ada Lovelace")
    await api.delete(f"/v1/people/{person}/data")
    pool = api.runtime.database.pool
    await pool.execute("DELETE FROM pgqueuer WHERE entrypoint = 'erasure'")
    await due.tick(api.runtime)
    jobs = await pool.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = 'erasure'")
    assert sum(str(person).encode() in job["payload"] for job in jobs) == 1


async def test_a_process_that_stops_leaves_the_rest_to_another(api: Api, books: Books) -> None:
    person = await books.person("Ada Lovelace")
    await api.delete(f"/v1/people/{person}/data")
    stopping = asyncio.Event()
    stopping.set()
    again = await run_erasure(api.runtime, person, stopping)
    assert again is not None
    assert again.in_s == 0
    assert (await api.get(f"/v1/people/{person}/erasure")).json()["status"] == "erasing"
    assert await run_erasure(api.runtime, person, asyncio.Event()) is None
