"""`seatwise demo`: the newcomer's first command. Everything it shows it has asked the public API for."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.markup import escape

from app.core.errors import SeatwiseError
from app.demo.client import DemoClient
from app.demo.connecting import connect
from app.demo.interrupts import Interrupts
from app.demo.mailbox import Mailbox, mailbox
from app.demo.month_end import MonthEnd
from app.demo.next_day import NextDay
from app.demo.receiver import receiver
from app.demo.seats import WINDOW, Use, most_wasteful, read_uses, seats_table, unknown_lines
from app.demo.service import Service, guarded, ready, running
from app.demo.simulated import Connection, simulated
from app.demo.vendors.world import World
from app.demo.watching import watch_to_success

SIGNALLED = 128


def main(
    keep: bool = False,
    *,
    people: int = 1000,
    applications: int = 40,
    days: int = 90,
    activity: float = 0.5,
) -> int:
    """Exit status: 0 at the end of the story, 1 where it broke, 128 and the signal's number where it was stopped.

    keep      stay up afterwards, until Ctrl-C or SIGTERM, which then end it with 0.
    people, applications, days, activity   how large the simulated world is.
    """
    demo = Demo(Console(), keep=keep)
    world = World(people=people, applications=applications, days=days, activity=activity)
    return asyncio.run(demo.run(world))


class Demo:
    """One telling of the story, on one console."""

    def __init__(self, console: Console, *, keep: bool) -> None:
        self._console = console
        self._keep = keep
        self._began = time.monotonic()

    async def run(self, world: World) -> int:
        interrupts = Interrupts()
        try:
            with tempfile.TemporaryDirectory(prefix="seatwise-demo-") as folder:
                await self._in_folder(Path(folder), world, interrupts)
        except SeatwiseError as error:
            self._say(f"[red]The demo cannot go on:[/] {escape(error.detail)}")
            return 1
        except asyncio.CancelledError:
            if interrupts.number is None:
                raise
            self._say("Stopped; nothing is left behind.")
            return SIGNALLED + interrupts.number
        took = "" if self._keep else f" in {time.monotonic() - self._began:.0f} s"
        self._say(f"Done{took}. Nothing is left behind.")
        return 0

    async def _in_folder(self, folder: Path, world: World, interrupts: Interrupts) -> None:
        self._say("Starting the service with a database of its own ...")
        async with mailbox() as mails, running(folder, mails.url) as service:
            try:
                async with guarded(service):
                    await ready(service)
                    self._say(f"  It answers at {service.url}.")
                    await self._story(service, world, mails, interrupts)
            except Exception:
                self._say("[dim]The end of the service's log:[/]")
                for line in service.log_tail():
                    self._say(f"[dim]{escape(line)}[/]")
                raise
            self._say("Stopping the service and its database ...")

    async def _story(self, service: Service, world: World, mails: Mailbox, interrupts: Interrupts) -> None:
        plan = world.plan
        self._say("Starting three simulated vendors, a tenant of SailPoint and a receiver of webhooks ...")
        with simulated(world) as vendors:
            self._say(
                f"  {plan.people:,} people and {plan.applications} applications at PingOne and at Okta each, "
                f"{plan.days} days of sign-ons; now and then they refuse or break off, as real ones do."
            )
            async with receiver() as hooks, _client(service) as api:
                credentials = [await connect(api, connection, self._say) for connection in vendors.connections]
                instances = await self._sync_all(api, vendors.connections, credentials)
                shown = await self._answers(api, instances)
                await NextDay(api, self._console, self._say, mails).tell(world, vendors, instances)
                await MonthEnd(api, self._console, self._say, hooks, vendors.isc).tell(shown, instances)
                if self._keep:
                    await self._stay(service, shown[0], interrupts)

    async def _sync_all(self, api: DemoClient, connections: list[Connection], credentials: list[str]) -> dict[str, str]:
        """Names of the instances by id, each synced once."""
        instances: dict[str, str] = {}
        syncs: dict[str, str] = {}
        for connection, credential_id in zip(connections, credentials, strict=True):
            body = {
                "name": connection.name,
                "connector": connection.connector,
                "credential_id": credential_id,
                "environment": "production",
            }
            instance = await api.post("/v1/instances", body)
            sync = await api.post(f"/v1/instances/{instance['id']}/launch")
            instances[instance["id"]] = syncs[sync["id"]] = connection.name
        self._say("Three instances are live; each reads its vendor for the first time:")
        await watch_to_success(api, syncs, self._console)
        return instances

    async def _answers(self, api: DemoClient, instances: dict[str, str]) -> list[Use]:
        kinds = ("people", "applications", "accounts")
        totals = [f"{await api.total(f'/v1/{kind}'):,} {kind}" for kind in kinds]
        self._say(f"The books now hold {totals[0]}, {totals[1]} and {totals[2]}.")
        uses = await read_uses(api)
        shown = most_wasteful(uses)
        self._console.print(seats_table(shown, instances))
        for line in unknown_lines(uses, instances):
            self._say(line)
        return shown

    async def _stay(self, service: Service, use: Use, interrupts: Interrupts) -> None:
        """Show how to go on by hand, and wait to be told to end."""
        header = f"-H 'Authorization: Bearer {service.key}'"
        accounts = f"application_id={use.application_id}&seat=assigned&usage=unused&window={WINDOW}&limit=5"
        self._console.print()
        for line in (
            f"The service stays up at {service.url} (documentation: {service.url}/docs).",
            f"API key: {service.key}",
            f"Who holds a seat of {use.name} without using it, its use in a week, and another sync:",
            f"  curl {header} '{service.url}/v1/accounts?{accounts}'",
            f"  curl {header} '{service.url}/v1/applications/{use.application_id}/usage?window=7d'",
            f"  curl {header} -X POST '{service.url}/v1/instances/{use.instance_id}/syncs'",
            "Ctrl-C ends it and removes everything.",
        ):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        await interrupts.wait()

    def _say(self, line: str) -> None:
        """A line of prose: folded on a terminal, whole where a program reads it."""
        self._console.print(line, highlight=False, soft_wrap=not self._console.is_terminal)


def _client(service: Service) -> DemoClient:
    return DemoClient(service.url, service.key, transport=httpx.AsyncHTTPTransport())
