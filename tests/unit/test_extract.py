"""Pages ahead of their writing: what comes together, in which order, and how much may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise

import pytest

from app.sync.extract import batches

WIDTH, DEPTH, MOST = 2, 6, 50


class Source:
    """Gives `items` of weight 10 from each scope; counts what it has given."""

    def __init__(self, items: int, *, fails_at: int | None = None) -> None:
        self.items = items
        self.fails_at = fails_at
        self.given = 0

    async def read(self, scope: str) -> AsyncIterator[tuple[str, int]]:
        for number in range(self.items):
            if number == self.fails_at:
                raise ConnectionResetError(scope)
            self.given += 1
            yield scope, number


def _weight(_item: tuple[str, int]) -> int:
    return 10


async def _others_run() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_what_has_come_meanwhile_is_taken_together_up_to_a_weight() -> None:
    source, taken, sizes = Source(30), list[tuple[str, int]](), list[int]()
    listing = batches(["a", "b", "c"], source.read, _weight, width=WIDTH, depth=DEPTH, most=MOST)
    async with aclosing(listing) as arriving:
        async for batch in arriving:
            assert all(scope == item[0] for scope, item in batch)
            taken += [item for _, item in batch]
            sizes.append(len(batch))
            await _others_run()
            assert source.given - len(taken) <= DEPTH + WIDTH
    assert max(sizes) == MOST // 10
    assert sorted(taken) == [(scope, number) for scope in "abc" for number in range(30)]
    for scope in "abc":
        numbers = [number for name, number in taken if name == scope]
        assert all(before < after for before, after in pairwise(numbers))


async def test_whoever_waits_for_a_slow_source_gets_each_item_at_once() -> None:
    async def slow(_scope: None) -> AsyncIterator[tuple[str, int]]:
        for number in range(4):
            await _others_run()
            yield "slow", number

    listing = batches([None], slow, _weight, width=1, depth=DEPTH, most=MOST)
    async with aclosing(listing) as arriving:
        assert [len(batch) async for batch in arriving] == [1, 1, 1, 1]


async def test_what_came_before_a_fault_is_given_before_it_is_raised() -> None:
    taken = list[int]()

    async def take() -> None:
        listing = batches(["a"], Source(30, fails_at=3).read, _weight, width=1, depth=DEPTH, most=MOST)
        async with aclosing(listing) as arriving:
            async for batch in arriving:
                taken.extend(number for _, (_, number) in batch)

    with pytest.raises(ConnectionResetError):
        await take()
    assert taken == [0, 1, 2]


async def test_whoever_ends_early_leaves_no_reader_behind() -> None:
    source = Source(1000)
    async with aclosing(batches(["a", "b"], source.read, _weight, width=WIDTH, depth=DEPTH, most=MOST)) as arriving:
        await anext(arriving)
    given = source.given
    await _others_run()
    assert source.given == given
