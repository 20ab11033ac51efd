"""Who came and who went with a sync is told by name, in pages, once."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.contract import User
from app.core.database import Database
from app.core.ids import new_id
from app.events.numbering import number_events
from app.sync import plan_run
from app.sync import run as conductor
from app.sync.requests import cancel_sync
from app.sync.warnings import warn
from tests.sync.test_plans import apply, plan
from tests.sync.world import World, application, user

ADA, ALAN = user("ada"), user("alan")


@pytest.fixture(autouse=True)
async def quiet(database: Database) -> None:
    await database.pool.execute("DELETE FROM events")


async def told(world: World, type_: str) -> list[Any]:
    """The data of each event of a type, in the order in which readers get them."""
    await number_events(world.runtime.database)
    rows = await world.fetch("SELECT data FROM events WHERE type = $1 ORDER BY position", type_)
    return [row["data"] for row in rows]


async def test_people_and_accounts_are_listed_with_what_a_workflow_needs(world: World) -> None:
    sync = await world.sync(users=[ADA, ALAN], applications=[application("ledger")], seats={"ledger": ["ada"]})
    instance = await world.instance()
    (created,) = await told(world, "person.created")
    subjects = {"instance_id": str(world.instance_id), "instance": instance.name, "sync_id": str(sync.id)}
    assert {name: created[name] for name in subjects} == subjects
    assert (created["page"], created["pages"], created["total"]) == (1, 1, 2)
    (ada,) = [person for person in created["people"] if person["email"] == ADA.email]
    assert ada.keys() == {
        "person_id", "name", "email", "username", "status", "role", "owner", "restrict_access",
    }  # fmt: skip
    (person,) = await world.fetch("SELECT * FROM people WHERE email = $1", ADA.email)
    assert {name: ada[name] for name in ("name", "status", "role", "owner", "restrict_access")} == {
        name: person[name] for name in ("name", "status", "role", "owner", "restrict_access")
    }
    (accounts,) = await told(world, "account.created")
    assert accounts["total"] == 3
    (seat,) = [account for account in accounts["accounts"] if account["application"] == "Ledger"]
    assert seat.keys() == {
        "account_id", "person_id", "application_id", "application", "vendor_id", "name", "email", "username", "role",
        "seat", "status",
    }  # fmt: skip
    assert (seat["person_id"], seat["vendor_id"], seat["seat"], seat["status"]) == (
        str(person["id"]), "ada", "assigned", "active",
    )  # fmt: skip
    await world.sync()
    assert len(await told(world, "person.created")) == len(await told(world, "account.created")) == 1


async def test_who_goes_and_who_returns_is_told_by_name(world: World) -> None:
    here, gone = user("edith"), user("emmy")
    await world.sync(users=[here, gone])
    await world.sync(users=[here])
    (left,) = await told(world, "person.deactivated")
    assert [(person["name"], person["status"]) for person in left["people"]] == [(gone.name, "inactive")]
    (lost,) = await told(world, "account.deactivated")
    assert [(account["vendor_id"], account["seat"]) for account in lost["accounts"]] == [("emmy", "none")]
    await world.sync(users=[here, gone])
    (back,) = await told(world, "account.reactivated")
    assert [(account["vendor_id"], account["status"]) for account in back["accounts"]] == [("emmy", "active")]


async def test_many_come_in_pages_that_are_read_in_order(world: World) -> None:
    crowd = [user(f"u{number:03}") for number in range(450)]
    await world.sync(users=crowd)
    pages = await told(world, "account.created")
    assert [(data["page"], data["pages"], data["total"]) for data in pages] == [(n, 3, 450) for n in (1, 2, 3)]
    assert [len(data["accounts"]) for data in pages] == [200, 200, 50]
    assert {account["vendor_id"] for data in pages for account in data["accounts"]} == {
        each.vendor_id for each in crowd
    }
    (order,) = await world.fetch("SELECT array_agg(type ORDER BY position) AS types FROM events")
    assert order["types"] == ["person.created"] * 3 + ["account.created"] * 3 + ["sync.succeeded"]


async def test_what_a_plan_has_changed_is_told_when_it_is_applied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_run, "connect", vars(conductor)["connect"])
    await world.sync(users=[user("grace"), user("hedy")])
    made = await plan(world, users=[user("grace"), user("joan")])
    assert len(await told(world, "person.created")) == 1
    await apply(world, made)
    *_, came = await told(world, "person.created")
    assert [person["name"] for person in came["people"]] == ["Joan"]
    (left,) = await told(world, "account.deactivated")
    assert [account["vendor_id"] for account in left["accounts"]] == ["hedy"]


async def test_what_a_cancelled_sync_wrote_is_told(world: World) -> None:
    world.vendor.page_size = 1

    async def cancel(stream: str, number: int) -> None:
        if (stream, number) == ("users", 1):
            async with world.runtime.database.session() as session:
                await cancel_sync(session, (await world.instance()).last_sync_id)  # type: ignore[arg-type]  # it runs

    world.vendor.before_page = cancel
    everybody: list[User] = [user("a"), user("b"), user("c")]
    await world.sync(users=everybody)
    (known,) = await world.fetch(
        "SELECT count(DISTINCT person_id) AS people FROM vendor_users WHERE instance_id = $1", world.instance_id
    )
    listed = [person for data in await told(world, "person.created") for person in data["people"]]
    assert len(listed) == known["people"]


async def test_a_webhooks_token_that_ends_within_a_week_is_told_once_for_each_end(database: Database) -> None:
    webhook_id = new_id()
    await database.pool.execute("DELETE FROM notifications; DELETE FROM notification_recipients")
    await database.pool.execute(
        """
        INSERT INTO webhooks (id, name, url, auth, sealed, sealed_signing, max_message_bytes, link_ttl_seconds,
            max_concurrency, created_by)
        VALUES ($1, 'Ops', 'https://x.example.com', '{"type": "bearer"}', '', '', 1024, 60, 1,
            '{"email": "ada@example.com"}')
        """,
        webhook_id,
    )

    async def ends_in(days: int, status: str = "enabled") -> list[Any]:
        await database.pool.execute(
            "UPDATE webhooks SET token_expires_at = now() + make_interval(days => $2), status = $3 WHERE id = $1",
            webhook_id,
            days,
            status,
        )
        for _ in range(2):
            await warn(database)
        rows = await database.pool.fetch("SELECT data FROM events WHERE type = 'credential.expiring' ORDER BY id")
        return [row["data"] for row in rows]

    assert await ends_in(8) == []
    assert await ends_in(6, "disabled") == []
    (first,) = await ends_in(6)
    assert (first["webhook_id"], first["webhook"]) == (str(webhook_id), "Ops")
    assert first["reason"].startswith("expires at")
    assert [data["reason"][:7] for data in await ends_in(-1)] == ["expires", "expired"]
    rows = await database.pool.fetch(
        "SELECT n.kind, n.text, e.address FROM notifications n JOIN notification_emails e ON e.notification_id = n.id"
    )
    assert {(row["kind"], row["address"]) for row in rows} == {("credential_expiring", "ada@example.com")}
    assert all(f"/v1/webhooks/{webhook_id}" in row["text"] for row in rows)
