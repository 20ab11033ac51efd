"""What people were told can be read and marked, and whom it goes to can be set."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.core.ids import new_id
from app.notifications.notify import Kind, notify
from tests.api.problems import assert_problem
from tests.conftest import Api

PATH = "/v1/notifications"
RECIPIENTS = "/v1/notification-recipients"


async def told(api: Api, kind: Kind = "sync_failed", instance_id: UUID | None = None, *also: str) -> dict[str, Any]:
    key = f"{kind}:{new_id()}"
    async with api.runtime.database.session() as session:
        subject, text = "Okta: the sync failed", "It is down."
        await notify(session, kind, instance_id=instance_id, key=key, subject=subject, text=text, also=also)
    body: dict[str, Any] = (await api.get(PATH)).json()["items"][0]
    return body


async def test_a_notification_is_listed_with_its_mails(api: Api) -> None:
    instance_id = new_id()
    await told(api, "plan_held")
    first = await told(api, "sync_failed", instance_id, "ada@example.com")
    assert first["emails"] == [{"to": "ada@example.com", "status": "pending"}]
    assert (first["kind"], first["subject"], first["text"]) == ("sync_failed", "Okta: the sync failed", "It is down.")
    assert first["read_at"] is None
    second = await told(api, "sync_recovered", instance_id)
    of_instance = (await api.get(PATH, params={"instance_id": str(instance_id), "count": "true"})).json()
    assert ([n["id"] for n in of_instance["items"]], of_instance["total"]) == ([second["id"], first["id"]], 2)
    both = (await api.get(PATH, params={"instance_id": str(instance_id), "kind": "sync_failed"})).json()
    assert [n["id"] for n in both["items"]] == [first["id"]]
    page = await api.get(PATH, params={"limit": 1})
    rest = (await api.get(PATH, params={"limit": 1, "cursor": page.json()["next_cursor"]})).json()
    assert rest["items"][0]["id"] == first["id"]
    assert_problem(await api.get(PATH, params={"kind": "birthday"}), 422)
    assert_problem(await api.get(PATH, params={"read": "true"}), 422)
    assert_problem(await api.anonymous().get(PATH), 401)


async def test_anybody_may_mark_one_read(api: Api) -> None:
    path = f"{PATH}/{(await told(api))['id']}"
    viewer = await api.as_role("viewer")
    before = await viewer.get(path)
    marked = await viewer.patch(path, json={"read": True}, headers={"If-Match": before.headers["ETag"]})
    assert marked.status_code == 200, marked.text
    assert marked.json()["read_at"] is not None
    assert marked.headers["ETag"] == (await api.get(path)).headers["ETag"]
    again = await viewer.patch(path, json={"read": True})
    assert again.json()["read_at"] == marked.json()["read_at"]
    assert_problem(await viewer.patch(path, json={"read": False}, headers={"If-Match": before.headers["ETag"]}), 412)
    assert (await viewer.patch(path, json={"read": False})).json()["read_at"] is None


@pytest.mark.parametrize("body", [{}, {"read": None}, {"read": True, "subject": "x"}, []])
async def test_a_mark_that_is_none(api: Api, body: Any) -> None:
    path = f"{PATH}/{(await told(api))['id']}"
    assert_problem(await api.patch(path, json=body), 422)
    assert_problem(await api.patch(f"{PATH}/{new_id()}", json={"read": True}), 404)
    assert_problem(await api.get(f"{PATH}/{new_id()}"), 404)


async def test_recipients_are_replaced_whole(api: Api) -> None:
    empty = await api.get(RECIPIENTS)
    assert empty.json() == {"emails": []}
    wanted = {"emails": ["Ops@example.com", "ada@example.com", "ops@example.com", "ada@example.com"]}
    put = await api.put(RECIPIENTS, json=wanted, headers={"If-Match": empty.headers["ETag"]})
    assert put.status_code == 200, put.text
    assert put.json() == {"emails": ["Ops@example.com", "ada@example.com"]}
    read = await (await api.as_role("viewer")).get(RECIPIENTS)
    assert (read.json(), read.headers["ETag"]) == (put.json(), put.headers["ETag"])
    addressed = await told(api, "sync_failed", None, "bob@example.com", "OPS@example.com")
    assert [mail["to"] for mail in addressed["emails"]] == ["Ops@example.com", "ada@example.com", "bob@example.com"]
    assert_problem(await api.put(RECIPIENTS, json=wanted, headers={"If-Match": empty.headers["ETag"]}), 412)
    (event, *_) = (await api.get("/v1/audit-events?action=notification_recipients.updated")).json()["items"]
    assert event["before"] == {"emails": []}
    assert (await api.put(RECIPIENTS, json={"emails": []})).json() == {"emails": []}


@pytest.mark.parametrize(
    "emails", [None, ["nobody"], ["a b@example.com"], ["a,b@example.com"], ["<x@example.com"], "ada@example.com", [1]]
)
async def test_recipients_that_are_no_addresses(api: Api, emails: Any) -> None:
    assert_problem(await api.put(RECIPIENTS, json={"emails": emails}), 422)
    assert_problem(await (await api.as_role("operator")).put(RECIPIENTS, json={"emails": []}), 403)
