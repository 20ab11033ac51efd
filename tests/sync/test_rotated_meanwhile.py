"""Secrets replaced while a sync runs do not stop it."""

from __future__ import annotations

import asyncio

from app.core.errors import CredentialRefused
from app.sync.leased import Again
from app.sync.run import run_sync
from tests.sync.world import World, refused, user


async def test_a_sync_goes_on_with_the_new_secrets(world: World) -> None:
    async def replace_secrets(stream: str, number: int) -> None:
        if (stream, number) == ("users", 1) and (stream, number) in world.vendor.fail:
            await world.fetch(
                "UPDATE credentials SET sealed = 'new' WHERE id = (SELECT credential_id FROM instances WHERE id = $1)",
                world.instance_id,
            )

    world.vendor.users = [user("a"), user("b"), user("c")]
    world.vendor.fail = {("users", 1): refused(CredentialRefused)}
    world.vendor.before_page = replace_secrets
    sync_id = await world.request()
    assert await run_sync(world.runtime, sync_id, asyncio.Event()) == Again(0)
    assert (await world.look(sync_id)).status == "running"
    assert await run_sync(world.runtime, sync_id, asyncio.Event()) is None
    assert (await world.look(sync_id)).status == "succeeded"
    assert (await world.instance()).status == "live"
    assert world.vendor.asked.count("users 0") == 1
