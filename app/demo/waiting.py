"""Waiting for something that the service has been asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.core.errors import SeatwiseError

PATIENCE_S = 60.0
_POLL_S = 0.1

T = TypeVar("T")


async def settled(what: str, read: Callable[[], Awaitable[T]], pending: Callable[[T], bool]) -> T:
    """What `read` gives once it is no longer pending. Raises SeatwiseError that names `what` if it takes too long."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await read()
                if not pending(found):
                    return found
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise SeatwiseError(f"{what} was not ready within {PATIENCE_S:.0f} s.") from None
