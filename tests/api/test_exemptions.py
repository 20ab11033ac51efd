from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.ids import new_id
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.licences.world import Licences, day

PATH = "/v1/licence-exemptions"


@pytest_asyncio.fixture(scope="module")
async def books(api: Api) -> AsyncIterator[Licences]:
    yield Licences(api.runtime.database)


@pytest_asyncio.fixture
async def account(books: Licences) -> UUID:
    application = await books.application(await books.instance(str(new_id()), covered=30), "CRM")
    return await books.account(application, "Ada")


def body(account: UUID, **members: Any) -> dict[str, Any]:
    return {"account_id": str(account), "reason": "On parental leave", "until": str(day(0)), **members}


async def is_reclaimable(api: Api, account: UUID) -> bool:
    found: bool = (await api.get(f"/v1/accounts/{account}/explain")).json()["reclaimable"]
    return found


async def test_an_exemption_spares_a_seat_until_it_is_deleted(api: Api, account: UUID) -> None:
    assert await is_reclaimable(api, account)
    answer = await api.post(PATH, json=body(account))
    assert answer.status_code == 201, answer.text
    exemption = answer.json()
    assert {name: exemption[name] for name in body(account)} == body(account)
    assert exemption["created_by"]["name"] == "an admin"
    assert (await api.get(answer.headers["Location"])).json() == exemption
    assert not await is_reclaimable(api, account)
    assert_problem(await api.delete(answer.headers["Location"], headers={"If-Match": '"x"'}), 412)
    assert (await api.delete(answer.headers["Location"])).status_code == 204
    assert_problem(await api.get(answer.headers["Location"]), 404)
    assert await is_reclaimable(api, account)
    events = (await api.get(f"/v1/audit-events?resource_id={exemption['id']}")).json()["items"]
    assert [event["action"] for event in events] == ["exemption.deleted", "exemption.created"]


async def test_an_account_has_one_exemption_at_a_time(api: Api, account: UUID) -> None:
    first = (await api.post(PATH, json=body(account, until=None))).json()
    problem = assert_problem(await api.post(PATH, json=body(account)), 409)
    assert problem["exemption_id"] == first["id"]
    assert "for good" in problem["detail"]


async def test_of_two_that_come_at_once_one_is_kept(api: Api, account: UUID) -> None:
    answers = await asyncio.gather(*(api.post(PATH, json=body(account)) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_an_ended_exemption_spares_nothing_and_makes_room(api: Api, books: Licences, account: UUID) -> None:
    ended = await books.exemption(account, until=day(-1))
    assert await is_reclaimable(api, account)
    listed = (await api.get(f"{PATH}?account_id={account}")).json()["items"]
    assert [item["id"] for item in listed] == [str(ended)]
    assert (await api.post(PATH, json=body(account))).status_code == 201
    listed = (await api.get(f"{PATH}?account_id={account}")).json()["items"]
    assert [item["until"] for item in listed] == [str(day(0))]


@pytest.mark.parametrize(
    ("member", "value"),
    [("account_id", str(UUID(int=7))), ("reason", ""), ("until", "soon"), ("until", str(day(-2))), ("colour", "red")],
)
async def test_bad_members_are_named(api: Api, account: UUID, member: str, value: object) -> None:
    problem = assert_problem(await api.post(PATH, json=body(account, **{member: value})), 422)
    assert [error["pointer"] for error in problem["errors"]] == [f"#/{member}"]


async def test_exemptions_are_filtered(api: Api, books: Licences) -> None:
    instance = await books.instance(str(new_id()))
    application = await books.application(instance, "CRM")
    accounts = [await books.account(application, name) for name in ("Ada", "Bob", "Cyd")]
    made = [(await api.post(PATH, json=body(each))).json()["id"] for each in accounts]
    path = f"{PATH}?application_id={application}"
    first = (await api.get(f"{path}&limit=2&count=true")).json()
    assert ([item["id"] for item in first["items"]], first["total"]) == (made[:0:-1], 3)
    rest = (await api.get(f"{path}&limit=2&count=true&cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in rest["items"]] == made[:1]
    await books.database.pool.execute("UPDATE instances SET leaving = true WHERE id = $1", instance)
    assert (await api.get(path)).json()["items"] == []
    assert_problem(await api.get(f"{PATH}/{made[0]}"), 404)
    assert_problem(await api.post(PATH, json=body(accounts[0])), 422)


async def test_an_exemption_goes_with_its_account(api: Api, books: Licences, account: UUID) -> None:
    answer = await api.post(PATH, json=body(account))
    await books.database.pool.execute("DELETE FROM accounts WHERE id = $1", account)
    assert_problem(await api.get(answer.headers["Location"]), 404)


async def test_admins_write_and_viewers_read(api: Api, account: UUID) -> None:
    operator, viewer = await api.as_role("operator"), await api.as_role("viewer")
    assert_problem(await operator.post(PATH, json=body(account)), 403)
    made = (await api.post(PATH, json=body(account))).headers["Location"]
    assert_problem(await operator.delete(made), 403)
    assert (await viewer.get(made)).status_code == (await viewer.get(PATH)).status_code == 200
