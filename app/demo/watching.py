"""Watching syncs that the story expects to succeed."""

from __future__ import annotations

from rich.console import Console

from app.console.client import ApiClient
from app.console.states import Sync
from app.console.sync import watch_all
from app.console.words import failure_words
from app.core.errors import SeatwiseError


async def watch_to_success(api: ApiClient, names: dict[str, str], console: Console) -> dict[str, Sync]:
    """Show syncs until all have ended; their last states by id. Raises SeatwiseError where one did not succeed.

    names   what to call each, by id.
    """
    finished = await watch_all(api, names, console)
    for sync_id, name in names.items():
        end = finished[sync_id]
        if end.status != "succeeded":
            why = failure_words(end.failure) if end.failure else f"The sync was {end.status}."
            raise SeatwiseError(f"{name}: {why}")
    return finished
