"""Turns are taken by the time that passes, whatever becomes of the host's clock, and end quietly with the process."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from app.core.clock import now
from app.scheduler import timetable
from app.sync.runtime import Runtime
from tests.host_clock import put_host_clock

EVERY_S = 0.05


class Turns:
    """Counts the turns that are taken."""

    def __init__(self) -> None:
        self.taken = 0
        self._came = asyncio.Event()

    async def __call__(self, _runtime: Runtime) -> None:
        self.taken += 1
        self._came.set()

    async def more(self, number: int = 3) -> None:
        """Once so many more have been taken."""
        async with asyncio.timeout(20):
            for _ in range(number):
                self._came.clear()
                await self._came.wait()


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    counted = Turns()

    async def turn(runtime: Runtime) -> None:
        await counted(runtime)

    _let(monkeypatch, turn)
    return counted


def _let(monkeypatch: pytest.MonkeyPatch, turn: timetable.Turn) -> None:
    monkeypatch.setattr(timetable, "TURNS", ((turn, EVERY_S),))
    monkeypatch.setattr(timetable, "LOOK_S", EVERY_S)


@pytest.mark.parametrize("back", [timedelta(seconds=30), timedelta(minutes=10), timedelta(days=9000)])
async def test_turns_go_on_when_the_clock_is_put_back(
    runtime: Runtime, turns: Turns, monkeypatch: pytest.MonkeyPatch, back: timedelta
) -> None:
    async with timetable.ticking(runtime):
        await turns.more()
        put_host_clock(monkeypatch, -back)
        await turns.more()


async def test_a_clock_that_is_put_forward_and_set_right_again_makes_no_burst(
    runtime: Runtime, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    async with timetable.ticking(runtime):
        await turns.more()
        began, before = loop.time(), turns.taken
        put_host_clock(monkeypatch, timedelta(hours=1))
        await turns.more()
        put_host_clock(monkeypatch, timedelta())
        await turns.more()
        # One turn for each pace that passed, and one that each change may have called for.
        assert turns.taken - before <= (loop.time() - began) / EVERY_S + 3


def test_a_pace_makes_up_for_no_turn_that_was_passed_over() -> None:
    at = now()
    assert timetable._Pace(2).get_next_fire_time(at - timedelta(days=20_000), at) == at + timedelta(seconds=2)


async def test_a_turn_that_the_end_cancels_is_no_error(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_runtime: Runtime) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    _let(monkeypatch, endless)
    with caplog.at_level(logging.WARNING):
        async with timetable.ticking(runtime):
            await begun.wait()
        await ended.wait()
        await asyncio.sleep(EVERY_S)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
