"""Custom fields, fields written once, and tracking fields, as syncs fill them."""

from __future__ import annotations

from typing import Any

import msgspec

from app.connectors import registry
from app.models import CustomField, Instance
from tests.sync.world import World, user

PROPOSED = [{"source": row.source, "target": row.target} for row in registry.manifest("okta").default_mapping]


async def configure(world: World, *rows: dict[str, Any], **types: str) -> None:
    """Map these rows beside the proposed ones; types are custom fields, as `account__key="number"`."""
    mapped = {row["target"] for row in rows}
    async with world.runtime.database.session() as session:
        instance = await session.get_one(Instance, world.instance_id)
        instance.mapping = [*(row for row in PROPOSED if row["target"] not in mapped), *rows]
        for name, kind in types.items():
            side, _, key = name.partition("__")
            choices = ["Sales", "Support"] if kind == "choice" else []
            session.add(CustomField(kind=side, key=key, title=key, type=kind, choices=choices))


async def fields(world: World, who: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the user's account and person."""
    (row,) = await world.fetch(
        "SELECT a.fields, p.fields AS person FROM accounts a JOIN people p ON p.id = a.person_id"
        " WHERE a.instance_id = $1 AND a.vendor_id = $2",
        world.instance_id,
        who,
    )
    return row["fields"], row["person"]


def told(name: str, **raw: Any) -> Any:
    return user(name, raw=msgspec.json.encode({"id": name, **raw}))


async def test_values_become_the_type_and_what_does_not_fit_is_null_and_listed(world: World) -> None:
    await configure(
        world,
        {"source": "raw.floor", "target": "account.floor"},
        {"source": "raw.team", "target": "person.team"},
        {"source": "raw.since", "target": "account.since"},
        account__floor="number",
        person__team="choice",
        account__since="datetime",
    )
    sync = await world.sync(
        users=[
            told("ada", floor="7", team="sales", since="2026-01-02T03:04:05+02:00"),
            told("bob", floor="top", team="Kitchen", since="yesterday"),
        ]
    )
    assert sync.status == "succeeded", sync.failure
    assert await fields(world, "ada") == ({"floor": 7, "since": "2026-01-02T01:04:05Z"}, {"team": "Sales"})
    assert await fields(world, "bob") == ({"floor": None, "since": None}, {"team": None})
    errors = await world.fetch("SELECT vendor_id, code, detail FROM sync_errors WHERE sync_id = $1", sync.id)
    assert {(row["vendor_id"], row["code"]) for row in errors} == {("bob", "bad_value")}
    assert sorted(row["detail"].split(" cannot")[0] for row in errors) == ["raw.floor", "raw.since", "raw.team"]
    assert not any("Kitchen" in row["detail"] for row in errors)


async def test_a_field_written_once_keeps_what_it_was(world: World) -> None:
    once = {"source": "raw.desk", "target": "account.desk", "on": "create_only"}
    await configure(
        world,
        once,
        {"source": "name", "target": "name", "on": "create_only"},
        {"source": "raw.desk", "target": "location"},
        account__desk="text",
    )
    await world.sync(users=[told("eve", desk="A1")])
    renamed = msgspec.structs.replace(told("eve", desk="B2"), name="Lady Eve")
    again = await world.sync(users=[renamed, told("dan", desk="C3")])
    assert await fields(world, "eve") == ({"desk": "A1", "location": "B2"}, {"location": "B2"})
    assert (await fields(world, "dan"))[0]["desk"] == "C3"
    rows = await world.fetch("SELECT name FROM people WHERE email = 'eve@example.com'")
    assert [row["name"] for row in rows] == ["Eve"]
    assert ("accounts", "Eve", "updated") in await world.changes(again)
    assert await world.changes(await world.sync()) == []


async def test_a_change_in_tracking_sources_alone_is_none(world: World) -> None:
    await configure(
        world,
        {"source": "connector.sync_time", "target": "account.synced_at"},
        {"source": "connect.credentials", "target": "person.loaded_by"},
        account__synced_at="datetime",
        person__loaded_by="text",
    )
    await world.sync(users=[told("kim"), told("lee")])
    first, person = await fields(world, "kim")
    assert person == {"loaded_by": "c"}
    again = await world.sync()
    second, _ = await fields(world, "kim")
    assert second["synced_at"] > first["synced_at"]
    assert await world.changes(again) == []
    assert (again.counters["people"]["unchanged"], again.counters["accounts"]["unchanged"]) == (2, 2)
    changed = await world.sync(users=[told("kim"), msgspec.structs.replace(told("lee"), name="Rob")])
    images = await world.fetch("SELECT before, after FROM history WHERE sync_id = $1", changed.id)
    assert images
    assert not any("fields" in row["before"] for row in images)
