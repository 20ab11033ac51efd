"""Pages ahead of their writing: the next ones are fetched while the last are written, several scopes side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from anyio import EndOfStream, WouldBlock, create_memory_object_stream
from anyio.streams.memory import MemoryObjectReceiveStream

Item = TypeVar("Item")
Scope = TypeVar("Scope")


async def side_by_side(
    scopes: Iterable[Scope], read: Callable[[Scope], AsyncIterator[Item]], *, width: int, depth: int
) -> AsyncGenerator[tuple[Scope, Item], None]:
    """The items of each scope with their scope: each scope's in order, `width` scopes at a time.

    depth   items that may wait in memory, beside the one each reader is fetching.
    The first error of any reader ends all of them and is raised here. Close the generator (`aclosing`) to end early.
    """
    async with _arrivals(scopes, read, width, depth) as arriving:
        async for entry in arriving:
            yield entry


async def batches(
    scopes: Iterable[Scope],
    read: Callable[[Scope], AsyncIterator[Item]],
    weight: Callable[[Item], int],
    *,
    width: int,
    depth: int,
    most: int,
) -> AsyncGenerator[list[tuple[Scope, Item]], None]:
    """As `side_by_side`, but together whatever has come since the last batch was asked for: one item of a slow source,
    many of one that is quicker than whoever takes them.

    weight, most   a batch that weighs `most` takes no further item.
    """
    async with _arrivals(scopes, read, width, depth) as arriving:
        async for entry in arriving:
            batch, weighs = [entry], weight(entry[1])
            with suppress(WouldBlock, EndOfStream):
                while weighs < most:
                    batch.append(arriving.receive_nowait())
                    weighs += weight(batch[-1][1])
            yield batch


@asynccontextmanager
async def _arrivals(
    scopes: Iterable[Scope], read: Callable[[Scope], AsyncIterator[Item]], width: int, depth: int
) -> AsyncIterator[MemoryObjectReceiveStream[tuple[Scope, Item]]]:
    """The readers at work for the time of the block; the error of one is raised at its end."""
    waiting = iter(scopes)
    send, receive = create_memory_object_stream[tuple[Scope, Item]](depth)

    async def reader() -> None:
        for scope in waiting:
            async for item in read(scope):
                await send.send((scope, item))

    async def readers() -> None:
        with send:
            async with asyncio.TaskGroup() as group:
                for _ in range(width):
                    group.create_task(reader())

    task = asyncio.create_task(readers())
    try:
        with receive:
            yield receive
        await _raise_first(task)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, BaseExceptionGroup):
            await task


async def _raise_first(task: asyncio.Task[None]) -> None:
    """A group's error without the group: callers know errors by their class."""
    try:
        await task
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
