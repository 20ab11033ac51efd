"""What programs and people are told of syncs: changes of state, once each."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.core.clock import now
from app.core.database import Database
from app.core.errors import CredentialRefused, VendorUnavailable
from app.sync.requests import cancel_sync
from app.sync.warnings import warn
from tests.sync.world import World, application, refused, user

ADA, ALAN = user("ada"), user("alan")


@pytest.fixture(autouse=True)
async def quiet(database: Database) -> None:
    await database.pool.execute("DELETE FROM events; DELETE FROM notifications; DELETE FROM notification_recipients")


async def events(world: World, *of: str) -> list[tuple[str, Any]]:
    rows = await world.fetch("SELECT type, data FROM events WHERE data ->> 'instance_id' = $1::text ORDER BY id",
                             str(world.instance_id))  # fmt: skip
    return [(row["type"], row["data"]) for row in rows if not of or row["type"] in of]


async def told(world: World) -> list[str]:
    rows = await world.fetch("SELECT kind FROM notifications WHERE instance_id = $1 ORDER BY id", world.instance_id)
    return [row["kind"] for row in rows]


async def fail(world: World, error: type[Any] = VendorUnavailable) -> Any:
    return await world.sync(fail={("users", 0): refused(error)})


async def test_the_first_success_is_told_with_what_it_brought(world: World) -> None:
    sync = await world.sync(users=[ADA, ALAN], applications=[application("ledger")], seats={"ledger": ["ada"]})
    assert await told(world) == ["first_sync_succeeded"]
    found = dict(await events(world))
    assert found.keys() == {"application.detected", "person.created", "account.created", "sync.succeeded"}
    assert found["application.detected"]["application"] == "Ledger"
    assert found["person.created"]["total"] == 2
    assert found["account.created"]["total"] == 3
    assert {each["sync_id"] for each in found.values()} == {str(sync.id)}
    await world.sync()
    assert await told(world) == ["first_sync_succeeded"]


async def test_only_changes_of_state_are_told_to_people(world: World) -> None:
    await fail(world)
    await fail(world)
    assert await told(world) == ["first_sync_failed"]
    await world.sync()
    assert await told(world) == ["first_sync_failed", "sync_recovered"]
    await fail(world)
    await fail(world)
    assert await told(world) == ["first_sync_failed", "sync_recovered", "sync_failed"]
    failures = await events(world, "sync.failed")
    assert len(failures) == 4
    assert failures[0][1]["reason"].endswith("The vendor said no.")
    assert len(await events(world, "sync.recovered")) == 1


async def test_a_failure_that_stops_the_instance_is_one_notification(world: World) -> None:
    await world.sync(users=[ADA])
    await fail(world)
    await fail(world, CredentialRefused)
    assert await told(world) == ["first_sync_succeeded", "sync_failed", "sync_failed"]
    (stopped,) = await events(world, "instance.inactivated")
    assert stopped[1]["reason"] == "token_revoked"
    (row,) = await world.fetch("SELECT text, subject FROM notifications ORDER BY id DESC LIMIT 1")
    assert "is inactive now" in row["text"]
    assert (await world.instance()).name in row["subject"]


async def test_comings_and_goings_are_told_with_their_number(world: World) -> None:
    here, gone = user("edith"), user("emmy")
    await world.sync(users=[here, gone])
    await world.sync(users=[here])
    assert [data["total"] for _, data in await events(world, "person.deactivated", "account.deactivated")] == [1, 1]
    await world.sync(users=[here, gone])
    assert len(await events(world, "account.reactivated")) == 1


async def test_what_a_cancelled_sync_wrote_is_told(world: World) -> None:
    async def cancel(stream: str, number: int) -> None:
        if (stream, number) == ("users", 1):
            async with world.runtime.database.session() as session:
                await cancel_sync(session, (await world.instance()).last_sync_id)  # type: ignore[arg-type]  # it runs

    world.vendor.before_page = cancel
    await world.sync(users=[user("a"), user("b"), user("c")])
    assert [data["total"] for _, data in await events(world, "person.created")] in ([2], [])
    (number,) = await world.fetch("SELECT count(*) FROM history WHERE kind = 'people' AND instance_id = $1",
                                  world.instance_id)  # fmt: skip
    assert sum(data["total"] for _, data in await events(world, "person.created")) == number["count"]
    assert await told(world) == []


@pytest.mark.parametrize(
    ("recipients", "contacts", "expected"),
    [
        (["all@example.com"], ["it@example.com"], ["all@example.com", "it@example.com"]),
        (["It@example.com"], ["it@example.com"], ["It@example.com"]),
        ([], ["it@example.com"], ["it@example.com", "creator@example.com"]),
        ([], [], ["creator@example.com"]),
    ],
)
async def test_whom_it_goes_to(world: World, recipients: list[str], contacts: list[str], expected: list[str]) -> None:
    creator = json.dumps({"id": None, "name": "x", "email": "creator@example.com"}).encode()
    await world.fetch("UPDATE instances SET contacts = $2, created_by = $3 WHERE id = $1",
                      world.instance_id, contacts, creator)  # fmt: skip
    for place, address in enumerate(recipients):
        await world.fetch("INSERT INTO notification_recipients (place, email) VALUES ($1, $2)", place, address)
    await world.sync(users=[ADA])
    rows = await world.fetch("SELECT address FROM notification_emails ORDER BY id")
    assert [row["address"] for row in rows] == expected


async def test_a_sync_that_runs_for_a_day_is_told_once(world: World) -> None:
    sync_id = await world.request()
    await world.fetch(
        "UPDATE syncs SET status = 'running', started_at = now() - interval '23 h' WHERE id = $1", sync_id
    )
    await warn(world.runtime.database)
    assert await told(world) == []
    await world.fetch("UPDATE syncs SET started_at = now() - interval '24 h' WHERE id = $1", sync_id)
    for _ in range(2):
        await warn(world.runtime.database)
    assert await told(world) == ["sync_overdue"]


async def test_a_credential_that_ends_within_a_week_is_told_once_for_each_end(world: World) -> None:
    async def ends_in(**span: float) -> list[Any]:
        await world.fetch(
            "UPDATE credentials SET expires_at = $2, owner = 'owner@example.com' WHERE id ="
            " (SELECT credential_id FROM instances WHERE id = $1)",
            world.instance_id,
            now() + timedelta(**span),
        )
        for _ in range(2):
            await warn(world.runtime.database)
        return await world.fetch("SELECT data FROM events WHERE type = 'credential.expiring' ORDER BY id")

    assert await ends_in(days=8) == []
    (first,) = await ends_in(days=6)
    assert first["data"]["credential"] == "c"
    assert len(await ends_in(days=2)) == 2
    (mail,) = await world.fetch("SELECT DISTINCT address FROM notification_emails")
    assert mail["address"] == "owner@example.com"
    assert len(await ends_in(days=-1)) == 3
