"""Handing a simulated vendor's secrets to the service, and having them tried."""

from __future__ import annotations

from collections.abc import Callable

from app.core.errors import SeatwiseError
from app.demo.client import DemoClient
from app.demo.simulated import Connection


async def connect(api: DemoClient, connection: Connection, say: Callable[[str], None]) -> str:
    """Make a credential; its id. Raises SeatwiseError where it does not work."""
    credential = await api.post(
        "/v1/credentials",
        {
            "name": connection.name,
            "connector": connection.connector,
            "scheme": connection.scheme,
            "secrets": connection.secrets,
            "options": connection.options,
        },
    )
    checked = await api.post(f"/v1/credentials/{credential['id']}/check")
    if not checked["ok"]:
        missing = ", ".join(checked["missing"])
        raise SeatwiseError(f"{connection.name}: {checked['detail']}{f' Missing: {missing}.' if missing else ''}")
    granted, missing = (", ".join(checked[key]) or "nothing" for key in ("granted", "missing"))
    say(f"  {connection.name}: the credential works. Granted: {granted}. Missing: {missing}.")
    return str(credential["id"])
