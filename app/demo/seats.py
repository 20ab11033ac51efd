"""The demo's answer: which seats nobody uses, and of which nobody knows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.table import Column, Table

from app.console.client import ApiClient

WINDOW = "30d"
ROWS = 12
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Use:
    """Seats of one application by their use in the window; seats = used + unused + unknown."""

    application_id: str
    name: str
    instance_id: str
    kind: str
    covered_days: int
    seats: int
    used: int
    unused: int
    unknown: int


async def read_uses(api: ApiClient) -> list[Use]:
    """The use of every application of every instance."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def use_of(application: dict[str, Any]) -> Use:
        async with turns:
            usage = await api.get(f"/v1/applications/{application['id']}/usage", window=WINDOW)
        return msgspec.convert({**usage, **application, "application_id": application["id"]}, Use)

    applications = [application async for application in api.items("/v1/applications")]
    return list(await asyncio.gather(*map(use_of, applications)))


def most_wasteful(uses: list[Use]) -> list[Use]:
    """Detected applications with the most unused seats first, those with the most unknown ones after them."""
    detected = [use for use in uses if use.kind == "detected" and use.seats]
    return sorted(detected, key=lambda use: (-use.unused, -use.unknown, use.name))[:ROWS]


def seats_table(uses: list[Use], instances: dict[str, str]) -> Table:
    """instances: names by id; each application is shown with its own."""
    columns = [Column(title, justify="right") for title in ("Seats", "Used", "Unused", "Unknown")]
    table = Table("Application", *columns, title=f"Most unused seats, last {WINDOW.removesuffix('d')} days")
    for use in uses:
        figures = (use.seats, use.used, use.unused, use.unknown)
        table.add_row(f"{use.name} ({instances[use.instance_id]})", *(f"{figure:,}" for figure in figures))
    return table


def unknown_lines(uses: list[Use], instances: dict[str, str]) -> list[str]:
    """A line for each instance with seats of whose use nobody knows, and why."""
    lines = []
    for instance_id, name in instances.items():
        own = [use for use in uses if use.instance_id == instance_id]
        seats, unknown = sum(use.seats for use in own), sum(use.unknown for use in own)
        covered = max((use.covered_days for use in own), default=0)
        told = f"tells of {covered} days only" if covered else "does not tell of use at all"
        if unknown:
            lines.append(f"{name} {told}: {unknown:,} of its {seats:,} seats are unknown, not unused.")
    return lines
