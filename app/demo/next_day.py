"""The demo's second act: people leave, a secret ends, and Seatwise asks and tells before anything is lost."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape

from app.console.sync import watch_all
from app.core.errors import SeatwiseError
from app.demo.client import DemoClient
from app.demo.mailbox import Mail, Mailbox
from app.demo.simulated import Connection, Simulated
from app.demo.vendors.ironclad_tenant import ClickwrapTenant
from app.demo.vendors.world import World
from app.demo.waiting import settled
from app.demo.watching import watch_to_success

RECIPIENT = "it-ops@example.com"
NAMES_SHOWN = 3
LINE = 100
_LEAVING_PERCENT = 30


class NextDay:
    """Told through the public API. say: prints one line, with the console's markup."""

    def __init__(self, api: DemoClient, console: Console, say: Callable[[str], None], mails: Mailbox) -> None:
        self._api = api
        self._console = console
        self._say = say
        self._mails = mails

    async def tell(self, world: World, vendors: Simulated, instances: dict[str, str]) -> None:
        """instances: names by id, in the order of the vendors' connections; each is live and synced."""
        pingone, _, clickwrap = instances
        self._say("A day later.")
        await self._api.put("/v1/notification-recipients", {"emails": [RECIPIENT]})
        await self._many_leave(world.ironclad, clickwrap, instances[clickwrap])
        secret = vendors.pingone.renew_secret()
        await self._secret_ends(pingone, instances[pingone])
        await self._secret_is_rotated(vendors.connections[0], pingone, secret)

    async def _many_leave(self, tenant: ClickwrapTenant, instance_id: str, name: str) -> None:
        listed = len(tenant.roster)
        leaving = tenant.users[1 : 1 + listed * _LEAVING_PERCENT // 100]
        for user in leaving:
            tenant.remove_user(user["id"])
        instance = await self._api.get(f"/v1/instances/{instance_id}")
        limit = instance["sync"]["deactivation_limit_percent"]
        self._say(
            f"{len(leaving):,} of {listed:,} users are gone from {name}; a sync by itself takes away {limit} % at most."
        )
        self._say("So we ask for a plan of what a sync would do:")
        plan = await self._planned(instance_id)
        await self._show(plan)
        self._say("That is right, so we apply the plan, by the digest of what we saw:")
        sync = await self._api.post(f"/v1/plans/{plan['id']}/apply", {"digest": plan["digest"]})
        end = (await watch_to_success(self._api, {sync["id"]: name}, self._console))[sync["id"]]
        accounts, people = (end.counters.get(kind, {}).get("deactivated", 0) for kind in ("accounts", "people"))
        self._say(f"  Inactive now: {accounts:,} accounts, and {people:,} people whom no other vendor lists.")

    async def _planned(self, instance_id: str) -> dict[str, Any]:
        asked = await self._api.post(f"/v1/instances/{instance_id}/plans")
        plan = await settled(
            "The plan", lambda: self._api.get(f"/v1/plans/{asked['id']}"), lambda plan: plan["status"] == "planning"
        )
        if plan["status"] != "ready":
            raise SeatwiseError(f"The plan is {plan['status']}.")
        return plan

    async def _show(self, plan: dict[str, Any]) -> None:
        path = f"/v1/plans/{plan['id']}/changes"
        page = await self._api.get(path, kind="accounts", action="deactivated", limit=NAMES_SHOWN)
        names = ", ".join(change["name"] or change["email"] for change in page["items"])
        more = plan["counts"]["deactivated"] - len(page["items"])
        counts = ", ".join(f"{number:,} {action}" for action, number in plan["counts"].items())
        self._say(f"  Accounts: {counts}.")
        self._say(f"  Deactivated: {escape(names)}{f' and {more:,} more' if more > 0 else ''}.")

    async def _secret_ends(self, instance_id: str, name: str) -> None:
        self._say(f"Somebody renews the client secret at {name} and tells nobody. The next sync:")
        sync = await self._api.post(f"/v1/instances/{instance_id}/syncs")
        end = (await watch_all(self._api, {sync["id"]: name}, self._console))[sync["id"]]
        instance = await self._api.get(f"/v1/instances/{instance_id}")
        if end.status != "failed" or instance["status"] != "inactive":
            raise SeatwiseError(f"{name}: the sync was {end.status} although its secret had ended.")
        self._say(f"  The instance is {instance['status']}: {escape(_short(instance['inactive_detail']))}")
        self._show_mail(await self._mails.next())

    async def _secret_is_rotated(self, connection: Connection, instance_id: str, secret: str) -> None:
        instance = await self._api.get(f"/v1/instances/{instance_id}")
        secrets = {**connection.secrets, "client_secret": secret}
        await self._api.post(f"/v1/credentials/{instance['credential_id']}/rotate", {"secrets": secrets})
        self._say("The new secret was tried (same tenant, no permission lost) and took the place of the old.")
        await self._api.patch(f"/v1/instances/{instance_id}", {"status": "live"})
        self._say("The instance is live again, and catches up at once:")
        (sync,) = (await self._api.get(f"/v1/instances/{instance_id}/syncs", limit=1))["items"]
        await watch_to_success(self._api, {sync["id"]: connection.name}, self._console)
        self._show_mail(await self._mails.next())

    def _show_mail(self, mail: Mail) -> None:
        self._say(f"  Mail to {mail.to}: {escape(mail.subject)}")
        for line in mail.text.splitlines():
            if line.strip():
                self._say(f"  [dim]>[/] {escape(_short(line))}")


def _short(text: str) -> str:
    """As much of it as one reads in passing."""
    return textwrap.shorten(text, LINE, placeholder=" …")
