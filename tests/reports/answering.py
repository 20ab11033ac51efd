"""Reports asked and answered as the service does, without its API."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any
from uuid import UUID

import msgspec

from app.core.ids import new_id
from app.models import Report, ReportRun
from app.reports.files import Format, file_of
from app.reports.run import run_report
from app.reports.run_requests import request_run
from app.sync.runtime import Runtime
from tests.api.books import Books

# What a spreadsheet, a CSV reader or an XML parser trips over.
AWKWARD = [
    '=HYPERLINK("http://evil")', "+1", "-2", "@SUM(A1)", "\ttab", "\rreturn", 'say "hi"', "a,b", "two\nlines",
    "two\r\nlines", " spaces ", "Ωmega 漢字 🎉", "<b>&amp;</b>", "back\\slash", "'quoted", "_x0041_",
    "\x01\x1f control", "", "plain",
]  # fmt: skip


async def report(runtime: Runtime, **members: Any) -> Report:
    """A saved report; accounts by name unless told otherwise."""
    row = {
        "name": f"Report {new_id()}", "dataset": "accounts", "columns": ["name"], "window": "30d", "filters": [],
        "sort": [], "outputs": [], **members,
    }  # fmt: skip
    async with runtime.database.session() as session:
        made = Report(id=new_id(), **row)
        session.add(made)
    return made


async def asked(runtime: Runtime, of: Report) -> UUID:
    async with runtime.database.session() as session:
        run = await request_run(session, of, trigger="manual")
    assert run is not None
    return run.id


async def read(runtime: Runtime, run_id: UUID) -> ReportRun:
    async with runtime.database.session() as session:
        return await session.get_one(ReportRun, run_id)


async def answered(runtime: Runtime, of: Report | None = None, **members: Any) -> ReportRun:
    """A run that is settled."""
    run_id = await asked(runtime, of or await report(runtime, **members))
    assert await run_report(runtime, run_id, asyncio.Event()) is None
    return await read(runtime, run_id)


async def downloaded(runtime: Runtime, run: ReportRun, format_: Format) -> bytes:
    """The whole file; it is as long as it was told."""
    file = await file_of(runtime.database.pool, run, format_)
    content = b"".join([part async for part in file.content])
    assert file.length in {None, len(content)}
    return content


async def rows(runtime: Runtime, run: ReportRun) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(await downloaded(runtime, run, "json"))
    return found


def parsed(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


async def seats(books: Books, names: list[str], **columns: Any) -> UUID:
    """An application with an account for each name."""
    application = await books.application(await books.instance(f"Okta {new_id()}", covered=30), f"App {new_id()}")
    for name in names:
        await books.account(application, name, **columns)
    return application


async def many_seats(books: Books, count: int) -> UUID:
    """So many accounts, made in one statement."""
    application = await books.application(await books.instance(f"Large {new_id()}", covered=30), f"App {new_id()}")
    await books.database.pool.execute(
        """
        INSERT INTO accounts (id, application_id, instance_id, person_id, vendor_id, name, email, seat, status)
        SELECT seatwise_uuid7(), a.id, a.instance_id, $3, 'u' || n, 'Person ' || n, 'person' || n || '@example.com',
            'assigned', 'active'
        FROM applications a, generate_series(1, $2) AS n WHERE a.id = $1
        """,
        application, count, await books.person("Many"),
    )  # fmt: skip
    return application


def of(application: UUID) -> list[dict[str, Any]]:
    """The filter that asks for one application's accounts."""
    return [{"field": "application_id", "op": "eq", "value": str(application)}]
