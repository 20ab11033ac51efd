"""`python -m app.demo.vendors`: all simulated vendors in one process, until SIGTERM or SIGINT.

Prints one line of JSON on stdout: for each vendor base_url, api_url, auth_url and credentials.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from app.demo.vendors.sailpoint import SailPointVendor
from app.demo.vendors.serve import VendorServer, vendors_of
from app.demo.vendors.world import World


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app.demo.vendors", description=__doc__)
    parser.add_argument("--people", type=int, default=1000, help="users of Okta and of PingOne each")
    parser.add_argument("--applications", type=int, default=40)
    parser.add_argument("--days", type=int, default=90, help="days of sign-ons")
    parser.add_argument("--activity", type=float, default=1.0, help="scales the number of sign-ons, 0 to 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that every answer takes at least")
    parser.add_argument("--record", action="store_true", help="keep every request in memory")
    parser.add_argument("--port-file", type=Path, help="where to write the line of JSON as well, once all listen")
    return parser.parse_args()


def described(server: VendorServer) -> dict[str, Any]:
    credentials = {name: value for name, value in asdict(server.credentials).items() if value is not None}
    urls = {"base_url": server.base_url, "api_url": server.api_url, "auth_url": server.auth_url}
    return {**urls, "credentials": credentials}


async def main() -> None:
    options = arguments()
    world = World(
        options.seed,
        people=options.people,
        applications=options.applications,
        days=options.days,
        activity=options.activity,
    )
    gc.set_threshold(100_000, 50, 100)  # pages are many short-lived objects in no cycles
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        lines: dict[str, Any] = {}
        for vendor in (*vendors_of(world, record=options.record), SailPointVendor(world, record=options.record)):
            vendor.faults.latency_s = options.latency
            lines[vendor.key] = described(await stack.enter_async_context(VendorServer(vendor)))
        line = msgspec.json.encode(lines).decode()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if options.port_file:
            await asyncio.to_thread(_write_whole, options.port_file, line)
        await ended.wait()


def _write_whole(path: Path, text: str) -> None:
    """Never half a file, for somebody may be waiting for it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


if __name__ == "__main__":
    uvloop.run(main())
