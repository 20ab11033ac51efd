"""Pages ahead of their writing: the next is fetched while the last one is written, several scopes side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from anyio import create_memory_object_stream

Item = TypeVar("Item")
Scope = TypeVar("Scope")


async def side_by_side(
    scopes: Iterable[Scope], read: Callable[[Scope], AsyncIterator[Item]], *, width: int, depth: int
) -> AsyncGenerator[tuple[Scope, Item], None]:
    """The items of each scope with their scope: each scope's in order, `width` scopes at a time.

    depth   items that may wait in memory, beside the one each reader is fetching.
    The first error of any reader ends all of them and is raised here. Close the generator (`aclosing`) to end early.
    """
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
            async for entry in receive:
                yield entry
        await _raise_first(task)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, BaseExceptionGroup):
            await task


async def ahead(source: AsyncIterator[Item]) -> AsyncGenerator[Item, None]:
    """The items of one source, the next one or two fetched before they are asked for."""
    pages = side_by_side([None], lambda _: source, width=1, depth=1)
    try:
        async for _, item in pages:
            yield item
    finally:
        await pages.aclose()


async def _raise_first(task: asyncio.Task[None]) -> None:
    """A group's error without the group: callers know errors by their class."""
    try:
        await task
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
