"""Labels split off and joined by a person, and what later syncs make of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app import detection
from app.access.principal import SYSTEM
from app.connectors.contract import Use
from app.core.clock import today
from app.core.errors import Conflict
from app.models import Instance
from tests.sync.conftest import OpenWorld
from tests.sync.world import World, application, days_ago, user

ADA, ALAN, GRACE = user("ada"), user("alan"), user("grace")
TOLD: dict[str, Any] = {
    "users": [ADA, ALAN, GRACE],
    "applications": [application("x1", definition="desk"), application("x2", definition="desk")],
    "seats": {"x1": ["ada", "grace"], "x2": ["alan", "grace"]},
    "uses": [
        Use("x1", "ada", days_ago(2)),
        Use("x2", "alan", days_ago(3)),
        Use("x1", "grace", days_ago(4)),
        Use("x2", "grace", days_ago(5)),
    ],
}


async def applications(world: World) -> dict[str, UUID]:
    rows = await world.fetch(
        "SELECT id, name FROM applications WHERE instance_id = $1 AND kind = 'detected'", world.instance_id
    )
    return {row["name"]: row["id"] for row in rows}


async def books(world: World) -> dict[str, dict[str, list[int]]]:
    """By application and user: how many days ago each use was."""
    rows = await world.fetch(
        """
        SELECT p.name, a.vendor_id, a.last_active_at, array_remove(array_agg(
            CASE WHEN y.year IS NOT NULL AND get_bit(y.days, n) = 1 THEN $2::date - (make_date(y.year, 1, 1) + n) END
            ORDER BY n DESC), NULL) AS days
        FROM accounts a JOIN applications p ON p.id = a.application_id AND p.kind = 'detected'
        LEFT JOIN activity_years y ON y.application_id = a.application_id AND y.account_id = a.id
        CROSS JOIN generate_series(0, 365) n
        WHERE a.instance_id = $1 GROUP BY p.name, a.vendor_id, a.last_active_at
        """,
        world.instance_id,
        today(),
    )
    found: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        days = sorted(row["days"])
        found.setdefault(row["name"], {})[row["vendor_id"]] = days
        assert not days or row["last_active_at"].date() == today() - timedelta(days=days[0])
    return found


async def merge(world: World, origin: UUID, into: UUID) -> UUID:
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id, with_for_update=True)
        return (await detection.merge(session, instance, origin, into, by=SYSTEM)).id


async def split(world: World, origin: UUID, vendor_id: str, name: str | None = None) -> UUID:
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id, with_for_update=True)
        return (await detection.split(session, instance, origin, vendor_id, name, by=SYSTEM)).id


JOINED = {"ada": [2], "alan": [3], "grace": [4, 5]}


@pytest.mark.parametrize("page_size", [1, 2])
async def test_joined_applications_stay_joined_and_days_are_the_union(world: World, page_size: int) -> None:
    await world.sync(**TOLD, page_size=page_size)
    ids = await applications(world)
    kept = await merge(world, ids["X1"], ids["X2"])
    assert await books(world) == {"X2": JOINED}
    again = await world.sync()
    assert (again.status, await world.changes(again)) == ("succeeded", [])
    assert await applications(world) == {"X2": kept}
    later = await world.sync(uses=[*TOLD["uses"], Use("x1", "ada", days_ago(1))], seats={"x1": [], "x2": ["grace"]})
    assert later.counters["accounts"]["deactivated"] == 2
    assert (await books(world))["X2"]["ada"] == [1, 2]
    await world.configure(detection="display_name")
    assert (await world.sync()).status == "succeeded"
    assert await applications(world) == {"X2": kept}


async def test_a_joined_account_keeps_its_own_history_and_that_of_the_other(world: World) -> None:
    await world.sync(**TOLD)
    ids = await applications(world)
    rows = await world.fetch("SELECT id, application_id FROM accounts WHERE vendor_id = 'grace'")
    mine = {row["application_id"]: row["id"] for row in rows}
    kept = mine[await merge(world, ids["X1"], ids["X2"])]
    history = await world.fetch("SELECT action, joined_from FROM history WHERE object_id = $1 ORDER BY id", kept)
    assert {(row["action"], row["joined_from"]) for row in history} == {
        ("created", None), ("created", mine[ids["X1"]]),
    }  # fmt: skip


async def test_a_label_split_from_a_definition_takes_its_accounts_and_days_along(opening: OpenWorld) -> None:
    world = await opening(detection="display_name")
    await world.sync(**TOLD, page_size=1)
    (origin,) = (await applications(world)).values()
    assert await books(world) == {"desk": JOINED}
    before = await world.fetch("SELECT id FROM accounts WHERE vendor_id = 'ada' AND application_id = $1", origin)
    made = await split(world, origin, "x1", "Desk of IT")
    assert await books(world) == {"desk": {"alan": [3], "grace": [5]}, "Desk of IT": {"ada": [2], "grace": [4]}}
    after = await world.fetch("SELECT id FROM accounts WHERE vendor_id = 'ada' AND application_id = $1", made)
    assert [row["id"] for row in after] == [row["id"] for row in before]
    for told in ("display_name", "display_name", "label"):
        await world.configure(detection=told)
        assert (await world.sync(uses=[*TOLD["uses"], Use("x1", "ada", days_ago(1))])).status == "succeeded"
        assert (await books(world))["Desk of IT"] == {"ada": [1, 2], "grace": [4]}
        assert (await applications(world))["Desk of IT"] == made


async def test_what_was_joined_can_be_split_again(world: World) -> None:
    await world.sync(**TOLD)
    ids = await applications(world)
    kept = await merge(world, ids["X1"], ids["X2"])
    await world.sync()
    await split(world, kept, "x1")
    expected = {"X2": {"alan": [3], "grace": [5]}, "X1": {"ada": [2], "grace": [4]}}
    assert await books(world) == expected
    again = await world.sync()
    assert (again.status, await world.changes(again)) == ("succeeded", [])
    assert await books(world) == expected


async def test_nothing_is_regrouped_while_a_sync_runs(world: World) -> None:
    await world.sync(**TOLD)
    ids = await applications(world)
    sync_id = await world.request()
    with pytest.raises(Conflict) as refused:
        await merge(world, ids["X1"], ids["X2"])
    assert refused.value.extensions == {"sync_id": str(sync_id)}


async def regroup(world: World, detected_by: str) -> None:
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id, with_for_update=True)
        instance.sync = {**instance.sync, "detection": detected_by}
        await session.flush()
        await detection.regroup(session, instance, by=SYSTEM)


async def seats(world: World) -> int:
    rows = await world.fetch(
        "SELECT count(*) FROM accounts a JOIN applications p ON p.id = a.application_id"
        " WHERE a.instance_id = $1 AND p.kind = 'detected' AND a.status = 'active'",
        world.instance_id,
    )
    return int(rows[0]["count"])


async def test_another_detection_moves_accounts_and_days_and_doubles_no_seat(world: World) -> None:
    other = application("y1", name="Mail", definition="mail")
    told = {**TOLD, "applications": [*TOLD["applications"], other], "seats": {**TOLD["seats"], "y1": ["ada"]}}
    await world.sync(**told)
    labels = await books(world)
    assert await seats(world) == 5
    await regroup(world, "display_name")
    await world.sync()
    assert await books(world) == {"desk": JOINED, "mail": {"ada": []}}
    assert await seats(world) == 4
    await regroup(world, "label")
    await world.sync()
    assert await books(world) == labels
    assert await seats(world) == 5
    assert await world.changes(await world.sync()) == []
