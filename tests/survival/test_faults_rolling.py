"""Three replicas restarted one after the other while they are used: nobody waits long, and nothing told is lost.

SEATWISE_TEST_FAULTS=all goes round three times, with a kill in place of each last stop.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from app.vault import generate_key
from tests.survival.crowd import Crowd, crowding
from tests.survival.dying import Nursery
from tests.survival.lab import ALL, Forked
from tests.survival.processes import Replica, environment, running

# What a machine that is busy with other tests may need; an idle one needs a tenth of it.
LONGEST_S = 10.0


@pytest.mark.timeout(300)
async def test_a_rolling_restart_under_load_loses_nothing_and_keeps_nobody_waiting(
    database_url: str, tmp_path: Path, nursed: Nursery
) -> None:
    settings = environment(database_url, tmp_path, generate_key())
    three: list[Replica] = [Forked(settings, tmp_path, nursery=nursed) for _ in range(3)]
    async with running(three), httpx.AsyncClient(timeout=10) as client:
        crowd = Crowd([replica.url for replica in three], client)
        async with crowding(crowd, 4, pause_s=0.05):
            for number in range(9 if ALL else 3):
                await _restarted(three[number % 3], kill=number > 5)
            # Restarts that are quick leave little time for writes: go round until there are enough to be lost.
            while len(crowd.acknowledged) <= 50:
                await _restarted(three[0], kill=False)
        await crowd.check()
        assert set(crowd.statuses) <= {200, 201, 409, 503, "broken"}
        assert len(crowd.acknowledged) > 50
        assert crowd.slowest(0.01) < LONGEST_S
        print(crowd.figures())  # noqa: T201  the figures of a run


async def _restarted(replica: Replica, *, kill: bool) -> None:
    if kill:
        replica.kill()
    else:
        await asyncio.to_thread(replica.stop)
    replica.start()
    await replica.ready()
