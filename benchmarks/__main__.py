"""`python -m benchmarks [ingest|deliveries|list|activity|report] [--quick]`: without a name all of them, as tables."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterable

from benchmarks import activity, deliveries, ingest, listing, reporting, server
from benchmarks.books import write_books
from benchmarks.tables import Table

ON_BOOKS = ("list", "activity", "report")
NAMES = ("ingest", "deliveries", *ON_BOOKS)
FULL_PEOPLE, QUICK_PEOPLE = 25_000, 100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=NAMES, help="one of them only")
    parser.add_argument("--quick", action="store_true", help="sizes that only show that everything runs")
    return parser.parse_args()


async def main(names: Iterable[str], *, quick: bool) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end, asyncio.current_task())
    async with server.running() as running:
        if "ingest" in names:
            await show(ingest.measure(running, ingest.QUICK if quick else ingest.FULL))
        if "deliveries" in names:
            await show(deliveries.measure(running, deliveries.QUICK if quick else deliveries.FULL))
        if not set(ON_BOOKS) & set(names):
            return
        async with running.database("books") as url:
            books = await write_books(url, QUICK_PEOPLE if quick else FULL_PEOPLE)
            if "list" in names:
                await show(listing.measure(running, url, books, listing.QUICK if quick else listing.FULL))
            if "activity" in names:
                await show(activity.measure(url, books, activity.QUICK if quick else activity.FULL))
            if "report" in names:
                await show(reporting.measure(running, url, reporting.QUICK if quick else reporting.FULL))


def _end(task: asyncio.Task[None] | None) -> None:
    """SIGTERM as Ctrl-C: what was started is ended."""
    if task is not None:
        task.cancel()


async def show(tables: AsyncIterator[Table]) -> None:
    """Each as soon as it is there."""
    async for table in tables:
        print(table.markdown(), flush=True)


if __name__ == "__main__":
    options = arguments()
    try:
        asyncio.run(main([options.name] if options.name else NAMES, quick=options.quick))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("Stopped; nothing is left behind.")
