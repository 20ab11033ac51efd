"""The demo's third act: what the unused seats cost, and who is told: a receiver, a workflow, a review of access."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from rich.console import Console

from app.demo.client import DemoClient
from app.demo.costs import bills_table, read_bills, sign_contracts
from app.demo.handing_out import HandingOut
from app.demo.receiver import Receiver
from app.demo.reviewing import Reviewing
from app.demo.seats import WINDOW, Use
from app.demo.simulated import IscSide


class MonthEnd:
    """Told through the public API. say: prints one line, with the console's markup."""

    def __init__(
        self, api: DemoClient, console: Console, say: Callable[[str], None], hooks: Receiver, isc: IscSide
    ) -> None:
        self._api = api
        self._console = console
        self._say = say
        self._hooks = hooks
        self._isc = isc

    async def tell(self, uses: list[Use], instances: dict[str, str]) -> None:
        """uses: the most wasteful applications, worst first; instances: names by id."""
        self._say(
            "At the end of the month somebody asks what that costs. We enter what was bought, and at which price:"
        )
        bound = await sign_contracts(self._api, uses)
        self._console.print(bills_table(await read_bills(self._api, bound, instances)))
        (cost,) = (await self._api.get("/v1/overview", window=WINDOW))["cost_of_unused"]
        self._say(f"Together {Decimal(cost['amount']):,.2f} {cost['currency']} a {cost['per']}.")
        await HandingOut(self._api, self._say, self._hooks, self._isc).tell(list(instances.values()))
        await Reviewing(self._api, self._say, self._isc).tell(uses[0])
