"""`seatwise sync`: sync an instance of a running service, and watch it to its end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from http import HTTPStatus
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Column, Table

from app.console.client import ApiClient
from app.console.problems import ApiProblem
from app.console.progress import board_for
from app.console.states import Sync
from app.console.words import failure_words
from app.core.errors import SeatwiseError

INTERRUPTED = 130
_SHOWN_NAMES = 10
_COUNTS = ["read", "created", "updated", "unchanged", "deactivated", "reactivated", "filtered", "rejected", "held"]


def main(instance: str, server: str, key: str) -> int:
    """Exit status: 0 where the sync succeeded, 1 where it did not or could not be started, 130 on Ctrl-C (the sync
    itself goes on).

    instance   id or exact name.
    """
    console, complaints = Console(), Console(stderr=True)
    try:
        return asyncio.run(_sync(instance, server, key, console))
    except SeatwiseError as error:
        complaints.print(f"seatwise: {error.detail}", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        complaints.print("Stopped watching; the sync goes on.")
        return INTERRUPTED


async def _sync(wanted: str, server: str, key: str, console: Console) -> int:
    async with ApiClient(server, key) as api:
        instance = await find_instance(api, wanted)
        sync_id = await start_sync(api, instance["id"], console)
        finished = await watch_all(api, {sync_id: instance["name"]}, console)
    show_end(console, finished[sync_id])
    return 0 if finished[sync_id].status == "succeeded" else 1


async def find_instance(api: ApiClient, wanted: str) -> dict[str, Any]:
    """The instance of that id or exact name. Raises SeatwiseError that names those there are."""
    if _is_id(wanted):
        return await api.get(f"/v1/instances/{wanted}")
    names = []
    async for instance in api.items("/v1/instances"):
        if instance["name"] == wanted:
            return instance
        names.append(instance["name"])
    known = ", ".join(sorted(names)[:_SHOWN_NAMES]) or "none at all"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    raise SeatwiseError(f"There is no instance named {wanted!r}. There are: {known}{more}.")


async def start_sync(api: ApiClient, instance_id: str, console: Console) -> str:
    """The id of a new sync, or of the one that runs already."""
    try:
        return str((await api.post(f"/v1/instances/{instance_id}/syncs"))["id"])
    except ApiProblem as problem:
        if problem.status != HTTPStatus.CONFLICT or "sync_id" not in problem.members:
            raise
        console.print("A sync of it is running already; watching that one.")
        return str(problem.members["sync_id"])


async def watch_all(api: ApiClient, names: dict[str, str], console: Console) -> dict[str, Sync]:
    """Show syncs side by side until all have ended; their last states by id. names: what to call each."""
    finished: dict[str, Sync] = {}
    with board_for(console, names) as board:

        async def follow(sync_id: str) -> None:
            async with aclosing(api.watch(sync_id)) as states:
                async for sync in states:
                    board.show(sync)
                    finished[sync_id] = sync

        try:
            async with asyncio.TaskGroup() as group:
                for sync_id in names:
                    group.create_task(follow(sync_id))
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
    return finished


def show_end(console: Console, sync: Sync) -> None:
    """The counters that are not zero, and the failure, if any."""
    columns = [name for name in _COUNTS if any(counts.get(name) for counts in sync.counters.values())]
    if columns:
        table = Table("", *(Column(name.capitalize(), justify="right") for name in columns))
        for kind, counts in sync.counters.items():
            if any(counts.values()):
                table.add_row(kind.capitalize(), *(f"{counts.get(name, 0):,}" for name in columns))
        console.print(table)
    if sync.failure is not None:
        console.print(failure_words(sync.failure), markup=False, highlight=False, soft_wrap=True, style="red")


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
