from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from app.sync.plan_changes import Book
from tests.api.books import Books
from tests.api.instances import finish_syncs, make, make_live
from tests.api.problems import assert_problem
from tests.conftest import Api

MEMBERS = {
    "id", "instance_id", "sync_id", "status", "reason", "digest", "counts", "failure", "created_by", "created_at",
    "updated_at",
}  # fmt: skip
CHANGE = {"kind", "action", "id", "vendor_id", "name", "email", "application", "before", "after"}


@pytest_asyncio.fixture
async def instance(api: Api) -> str:
    made = await make_live(api)
    await finish_syncs(api, made["id"])
    return str(made["id"])


async def held(api: Api, instance: str, *names: str) -> tuple[UUID, str]:
    """A plan as a sync holds it, that deactivates accounts of these names; and its digest."""
    books = Books(api.runtime.database)
    application = await books.application(UUID(instance), "Ledger")
    book = Book(uuid4())
    async with api.runtime.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO plans (id, instance_id, sync_id, status, reason, based_at)"
            " VALUES ($1, $2, $3, 'held', 'limit', now() + interval '1 minute')",
            book.plan_id, UUID(instance), uuid4(),
        )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for name in names:
        account = await books.account(application, name)
        before, after = {"seat": "assigned", "status": "active"}, {"seat": "none", "status": "inactive"}
        row = ("accounts", "deactivated", account, f"v-{name}", name, None, "Ledger", before, after, None)
        rows.append(row)
    rows.append(("people", "deactivated", await books.person("P"), "v", "P", "p@example.com", None, {}, {}, None))
    async with api.runtime.database.transaction() as connection:
        await book.write(connection, rows)
        await connection.execute(
            "UPDATE plans SET digest = $2, counts = $3 WHERE id = $1", book.plan_id, book.digest, book.counts
        )
        await connection.execute("UPDATE instances SET held_plan_id = $2 WHERE id = $1", UUID(instance), book.plan_id)
    return book.plan_id, book.digest


async def test_a_plan_is_asked_for_watched_and_listed(api: Api, instance: str) -> None:
    operator = await api.as_role("operator")
    answer = await operator.post(f"/v1/instances/{instance}/plans")
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/plans/{made['id']}")
    assert set(made) == MEMBERS
    assert (made["status"], made["digest"], made["reason"], made["sync_id"]) == ("planning", None, None, None)
    assert made["counts"] == {"created": 0, "updated": 0, "deactivated": 0, "reactivated": 0}
    shown = await api.get(f"/v1/plans/{made['id']}")
    assert shown.json() == made
    assert (
        await api.get(f"/v1/plans/{made['id']}", headers={"If-None-Match": shown.headers["etag"]})
    ).status_code == 304
    listed = (await api.get(f"/v1/instances/{instance}/plans?count=true")).json()
    assert (listed["items"], listed["total"]) == ([made], 1)
    assert (await api.get(f"/v1/instances/{instance}/plans?status=held")).json()["items"] == []
    again = assert_problem(await operator.post(f"/v1/instances/{instance}/plans"), 409)
    assert again["plan_id"] == made["id"]
    early = await api.post(f"/v1/plans/{made['id']}/apply", json={"digest": "x"})
    assert "planning" in assert_problem(early, 409)["detail"]
    job = await api.runtime.database.pool.fetchval(
        "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'plan' AND dedupe_key = $1", f"plan:{made['id']}"
    )
    assert job == 1


async def test_what_does_not_sync_or_syncs_now_is_not_planned(api: Api) -> None:
    draft = await make(api)
    assert "Launch" in assert_problem(await api.post(f"/v1/instances/{draft['id']}/plans"), 409)["detail"]
    live = await make_live(api)
    problem = assert_problem(await api.post(f"/v1/instances/{live['id']}/plans"), 409)
    assert problem["sync_id"] == live["last_sync_id"]
    await api.delete(f"/v1/instances/{live['id']}/accounts", params={"confirm": live["name"]})
    assert "deleted" in assert_problem(await api.post(f"/v1/instances/{live['id']}/plans"), 409)["detail"]


async def test_changes_are_listed_and_filtered(api: Api, instance: str) -> None:
    plan, _ = await held(api, instance, "Ada", "Alan", "Grace")
    walked: list[dict[str, Any]] = []
    following: str | None = f"/v1/plans/{plan}/changes?limit=3&count=true&sort=created_at"
    while following:
        answer = await api.get(following)
        assert answer.json()["total"] == 4
        walked += answer.json()["items"]
        following = answer.links["next"]["url"] if "next" in answer.links else None
    assert [item["name"] for item in walked] == ["Ada", "Alan", "Grace", "P"]
    assert set(walked[0]) == CHANGE
    assert (walked[0]["application"], walked[0]["after"]) == ("Ledger", {"seat": "none", "status": "inactive"})
    newest = (await api.get(f"/v1/plans/{plan}/changes?kind=accounts&action=deactivated")).json()["items"]
    assert newest == walked[2::-1]
    assert (await api.get(f"/v1/plans/{plan}/changes?kind=people")).json()["items"] == walked[3:]
    assert_problem(await api.get(f"/v1/plans/{plan}/changes?kind=robots"), 422)
    assert_problem(await api.get(f"/v1/plans/{plan}/changes?cursor=x"), 400)


async def test_applying_takes_the_digest_that_was_looked_at_and_happens_once(api: Api, instance: str) -> None:
    plan, digest = await held(api, instance, "Ada")
    path = f"/v1/plans/{plan}/apply"
    assert_problem(await api.post(path, json={"digest": "0" * 64}), 412)
    assert (await api.get(f"/v1/plans/{plan}")).json()["status"] == "held"
    answer = await api.post(path, json={"digest": digest})
    sync = answer.json()
    assert (answer.status_code, sync["trigger"], sync["status"]) == (202, "plan", "queued")
    assert answer.headers["location"] == f"/v1/syncs/{sync['id']}"
    shown = (await api.get(f"/v1/plans/{plan}")).json()
    assert (shown["status"], shown["sync_id"]) == ("applied", sync["id"])
    assert (await api.get(f"/v1/instances/{instance}")).json()["held_plan_id"] is None
    assert_problem(await api.post(path, json={"digest": digest}), 409)
    assert_problem(await api.post(f"/v1/plans/{plan}/discard"), 409)
    found = (await api.get(f"/v1/syncs?trigger=plan&instance_id={instance}")).json()["items"]
    assert [each["id"] for each in found] == [sync["id"]]


async def test_a_changed_row_supersedes_the_plan_although_the_apply_is_refused(api: Api, instance: str) -> None:
    plan, digest = await held(api, instance, "Ada")
    await api.runtime.database.pool.execute(
        "INSERT INTO history (kind, object_id, name, action) SELECT kind, object_id, name, 'updated' FROM plan_changes"
        " WHERE plan_id = $1 AND name = 'Ada'",
        plan,
    )
    assert_problem(await api.post(f"/v1/plans/{plan}/apply", json={"digest": digest}), 412)
    assert (await api.get(f"/v1/plans/{plan}")).json()["status"] == "superseded"
    assert (await api.get(f"/v1/instances/{instance}")).json()["held_plan_id"] is None
    assert_problem(await api.post(f"/v1/plans/{plan}/apply", json={"digest": digest}), 412)


async def test_a_plan_waits_for_the_sync_that_runs(api: Api, instance: str) -> None:
    plan, digest = await held(api, instance, "Ada")
    running = (await api.post(f"/v1/instances/{instance}/syncs")).json()["id"]
    problem = assert_problem(await api.post(f"/v1/plans/{plan}/apply", json={"digest": digest}), 409)
    assert problem["sync_id"] == running
    assert (await api.get(f"/v1/plans/{plan}")).json()["status"] == "held"


async def test_a_discarded_plan_is_let_go(api: Api, instance: str) -> None:
    plan, digest = await held(api, instance, "Ada")
    answer = await api.post(f"/v1/plans/{plan}/discard")
    assert (answer.status_code, answer.json()["status"]) == (200, "discarded")
    assert (await api.get(f"/v1/instances/{instance}")).json()["held_plan_id"] is None
    assert_problem(await api.post(f"/v1/plans/{plan}/discard"), 409)
    assert_problem(await api.post(f"/v1/plans/{plan}/apply", json={"digest": digest}), 409)
    noted = (await api.get("/v1/audit-events?limit=1")).json()["items"][0]
    assert (noted["action"], noted["resource"]["id"], noted["after"]["status"]) == (
        "plan.updated",
        str(plan),
        "discarded",
    )


async def test_operators_make_plans_and_admins_decide(api: Api, instance: str) -> None:
    plan, digest = await held(api, instance, "Ada")
    viewer, operator = await api.as_role("viewer"), await api.as_role("operator")
    assert_problem(await viewer.post(f"/v1/instances/{instance}/plans"), 403)
    assert (await viewer.get(f"/v1/plans/{plan}")).status_code == 200
    assert_problem(await operator.post(f"/v1/plans/{plan}/apply", json={"digest": digest}), 403)
    assert_problem(await operator.post(f"/v1/plans/{plan}/discard"), 403)


async def test_bad_input_and_missing_plans(api: Api, instance: str) -> None:
    plan, _ = await held(api, instance, "Ada")
    for body in ({}, {"digest": ""}, {"digest": 3}, {"digest": "x", "force": True}):
        assert_problem(await api.post(f"/v1/plans/{plan}/apply", json=body), 422)
    for suffix in ("", "/changes"):
        assert_problem(await api.get(f"/v1/plans/{uuid4()}{suffix}"), 404)
    assert_problem(await api.post(f"/v1/plans/{uuid4()}/apply", json={"digest": "x"}), 404)
    assert_problem(await api.post(f"/v1/plans/{uuid4()}/discard"), 404)
    assert_problem(await api.post(f"/v1/instances/{uuid4()}/plans"), 404)
    assert_problem(await api.get(f"/v1/instances/{uuid4()}/plans"), 404)
