"""Every message that is really told is as the API's description says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from app.core.clock import now
from app.core.database import Database
from app.core.errors import CredentialRefused, VendorUnavailable
from app.core.ids import new_id
from app.sync.removal import run_removal
from app.sync.runtime import Runtime
from app.sync.warnings import warn
from app.webhooks.disabling import disable
from app.webhooks.messages import Run
from tests.api.conftest import vendor
from tests.api.instances import GOOD, Vendor, make, make_live
from tests.conftest import Api
from tests.messages.described import assert_described
from tests.reports.answering import answered
from tests.sync.conftest import OpenWorld
from tests.sync.world import application, refused, user

__all__ = ["vendor"]


@pytest.fixture(autouse=True)
async def quiet(database: Database) -> None:
    await database.pool.execute("DELETE FROM events; DELETE FROM notifications")


async def described(database: Database) -> set[str]:
    """The types of all events so far, each of which is as described."""
    rows = await database.pool.fetch("SELECT type, data FROM events")
    for row in rows:
        assert_described(row["type"], row["data"])
    return {row["type"] for row in rows}


async def test_what_syncs_tell(opening: OpenWorld, database: Database) -> None:
    world = await opening(deactivation_limit_percent=20)
    crowd = [user(f"u{number}") for number in range(10)]
    seats = {"users": crowd, "applications": [application("ledger")], "seats": {"ledger": ["u1"]}}
    await world.sync(**seats)
    await world.sync(users=crowd[:9])
    await world.sync(users=crowd)
    await world.sync(users=crowd[:2])
    await world.sync(users=crowd, fail={("users", 0): refused(VendorUnavailable)})
    await world.sync(fail={})
    await world.fetch("UPDATE credentials SET expires_at = now() + interval '1 day'")
    await warn(database)
    await world.sync(fail={("users", 0): refused(CredentialRefused)})
    assert await described(database) == {
        "application.detected", "person.created", "account.created", "person.deactivated", "account.deactivated",
        "account.reactivated", "plan.held", "sync.succeeded", "sync.failed", "sync.recovered", "credential.expiring",
        "instance.inactivated",
    }  # fmt: skip


async def test_what_the_life_of_an_instance_tells(api: Api, vendor: Vendor, database: Database) -> None:
    path = f"/v1/instances/{(await make_live(api))['id']}"
    await api.patch(path, json={"status": "inactive"})
    vendor(GOOD)
    await api.patch(path, json={"status": "live"})
    assert await described(database) == {"instance.launched", "instance.inactivated", "instance.reactivated"}


async def test_what_is_told_of_webhooks(api: Api, database: Database) -> None:
    made = (await api.post("/v1/webhooks", json={"name": "Ops", "url": "https://hooks.example.com/"})).json()
    await database.pool.execute("UPDATE webhooks SET token_expires_at = $1", now() + timedelta(days=1))
    await warn(database)
    async with database.transaction() as connection:
        await disable(connection, UUID(made["id"]), "gone", "Answered 410.")
    assert await described(database) == {"credential.expiring", "webhook.disabled"}


def test_what_outputs_of_reports_get() -> None:
    window = {"from": "2026-10-01", "to": "2026-10-30"}
    run = Run(new_id(), new_id(), "Unused", window, ["email"], 1, datetime(2026, 11, 3, tzinfo=UTC))
    page = run.page("standard", new_id(), 1, 1, [b'{"email":"ada@example.com"}'])
    link = run.link("standard", new_id(), "https://seatwise.example.com/links/x", datetime(2026, 11, 4, tzinfo=UTC))
    for body in (page, link):
        message: dict[str, Any] = msgspec.json.decode(body)
        assert_described(message["type"], message["data"])


async def test_what_runs_of_reports_tell(runtime: Runtime, database: Database) -> None:
    assert (await answered(runtime)).status == "succeeded"
    assert (await answered(runtime, columns=["no such column"])).status == "failed"
    assert await described(database) == {"report.completed", "report.failed"}


async def test_the_end_of_an_instance_is_told(api: Api, database: Database) -> None:
    made = await make(api)
    await api.delete(f"/v1/instances/{made['id']}", params={"confirm": made["name"]})
    assert await run_removal(api.runtime, UUID(made["id"]), asyncio.Event()) is None
    assert await described(database) == {"instance.deleted"}
