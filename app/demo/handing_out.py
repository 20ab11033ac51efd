"""A report leaves the house: as signed pages to a receiver, and as input of a workflow in SailPoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
from rich.markup import escape

from app.core.errors import SeatwiseError
from app.demo.client import DemoClient
from app.demo.receiver import Message, Receiver
from app.demo.simulated import IscSide
from app.demo.waiting import settled

REPORT = "Unused seats"
WINDOW = "14d"
PAGE_BYTES = 128 * 1024
COLUMNS = ("name", "email", "application", "instance", "days_active", "covered_days", "last_active_at")
_SHOWN = 24


class HandingOut:
    """Told through the public API; what has arrived is told by those who got it."""

    def __init__(self, api: DemoClient, say: Callable[[str], None], hooks: Receiver, isc: IscSide) -> None:
        self._api = api
        self._say = say
        self._hooks = hooks
        self._isc = isc

    async def tell(self, instances: list[str]) -> None:
        """instances: names of all that the report is about."""
        warehouse, workflow = await self._warehouse(), await self._workflow()
        run = await self._run(warehouse, workflow)
        self._say(
            f"The report “{REPORT}” has run: {run['total_rows']:,} rows, "
            f"{run['window']['from']} to {run['window']['to']}. It goes out:"
        )
        pages = await self._delivered(warehouse, run["id"])
        await self._show_pages(await self._hooks.until(len(pages)), run["total_rows"], instances)
        started = await self._delivered(workflow, run["id"])
        self._say(
            f"  SailPoint's workflow was started {_times(len(started))} (it forgot the first token, Seatwise fetched "
            f"another). The last execution: {started[-1]['workflow_execution_id']}."
        )

    async def _warehouse(self) -> str:
        """The id of the webhook that the receiver listens at; the receiver keeps its signing secret."""
        body = {"name": "Data warehouse", "url": self._hooks.url, "max_message_bytes": PAGE_BYTES}
        webhook = await self._api.post("/v1/webhooks", body)
        self._hooks.secret = webhook["signing_secret"]
        return str(webhook["id"])

    async def _workflow(self) -> str:
        """The id of the webhook that starts the workflow, once its test has gone well."""
        isc = self._isc
        auth = {
            "type": "oauth2_client_credentials",
            "token_url": isc.token_url,
            "client_id": isc.trigger_client_id,
            "client_secret": isc.trigger_client_secret,
        }
        body = {"name": "ISC workflow", "url": isc.trigger_url, "format": "sailpoint_workflow", "auth": auth}
        webhook = await self._api.post("/v1/webhooks", body)
        tested = await self._api.post(f"/v1/webhooks/{webhook['id']}/test")
        if not tested["ok"]:
            raise SeatwiseError(f"The test of the workflow failed: {tested['detail']}")
        self._say(
            f"A workflow in SailPoint is asked at its test address, so that nothing runs: {tested['status_code']}."
        )
        return str(webhook["id"])

    async def _run(self, *webhook_ids: str) -> dict[str, Any]:
        report = await self._api.post(
            "/v1/reports",
            {
                "name": REPORT,
                "dataset": "accounts",
                "columns": list(COLUMNS),
                "window": WINDOW,
                "filters": [
                    {"field": "usage", "op": "eq", "value": "unused"},
                    {"field": "seat", "op": "ne", "value": "none"},
                ],
                "sort": ["application", "name"],
                "outputs": [{"type": "webhook", "webhook_id": webhook_id} for webhook_id in webhook_ids],
            },
        )
        run = await self._api.post(f"/v1/reports/{report['id']}/runs")
        run = await settled(
            f"The report “{REPORT}”",
            lambda: self._api.get(f"/v1/report-runs/{run['id']}"),
            lambda run: run["status"] in {"queued", "running"},
        )
        if run["status"] != "succeeded":
            raise SeatwiseError(f"The report run {run['status']}: {run['failure']}")
        return run

    async def _delivered(self, webhook_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's deliveries to a webhook in the order of their pages, once all have succeeded."""

        async def deliveries() -> list[dict[str, Any]]:
            path = f"/v1/webhooks/{webhook_id}/deliveries"
            found = [delivery async for delivery in self._api.items(path, run_id=run_id)]
            return sorted(found, key=lambda delivery: int(delivery["page"]))

        found = await settled(
            "What was to be delivered",
            deliveries,
            lambda found: not found or any(delivery["status"] == "pending" for delivery in found),
        )
        for delivery in found:
            if delivery["status"] != "succeeded":
                raise SeatwiseError(f"Page {delivery['page']} did not arrive: {delivery['attempts']}")
        return found

    async def _show_pages(self, messages: list[Message], total_rows: int, instances: list[str]) -> None:
        counts = Counter(row["instance"] for message in messages for row in message.body["data"]["rows"])
        numbers = [message.body["data"]["page"] for message in messages]
        if counts.total() != total_rows or numbers != list(range(1, len(messages) + 1)):
            raise SeatwiseError(f"{counts.total()} of {total_rows} rows came, in the pages {numbers}.")
        first, pages = messages[0], _times(len(messages), "page")
        parts = ", ".join(f"{counts[name]:,} of {name}" for name in instances)
        self._say(
            f"  The receiver got {pages} with {total_rows:,} rows, in order: {escape(parts)}. It proved each page:"
        )
        self._say(f"  [dim]>[/] webhook-id: {first.id}")
        self._say(f"  [dim]>[/] webhook-signature: {escape(first.signature[:_SHOWN])}…")
        self._say(f"  One of them with a letter changed on the way: {await self._altered(first)}")

    async def _altered(self, message: Message) -> str:
        """What the receiver answers to a message that is no longer what was signed."""
        headers = {
            "webhook-id": message.id,
            "webhook-timestamp": message.timestamp,
            "webhook-signature": message.signature,
        }
        content = message.raw.replace(b"e", b"3", 1)
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
            answer = await client.post(self._hooks.url, content=content, headers=headers)
        return f"{answer.status_code}, {escape(answer.json()['error'])}"


def _times(count: int, what: str = "time") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
