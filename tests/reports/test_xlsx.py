from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import openpyxl
import pytest

from app.core.errors import InvalidInput
from app.reports.files import file_of
from app.reports.xlsx import MOST_ROWS, Shape, workbook
from app.sync.runtime import Runtime
from tests.api.books import Books, days_ago
from tests.reports.answering import AWKWARD, answered, downloaded, of, read, seats

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TYPES = ("text", "integer", "decimal", "boolean", "date", "datetime")


async def sheet_of(rows: list[list[Any]], types: tuple[str, ...] = TYPES) -> Any:
    """The rows as a spreadsheet program finds them, header included."""
    lines = b"".join(msgspec.json.encode(dict(zip(types, row, strict=True))) + b"\n" for row in rows)

    async def given() -> AsyncIterator[bytes]:
        if lines:
            yield lines

    content = b"".join([part async for part in workbook(Shape(types, types, len(rows), len(lines), AT), given())])
    return openpyxl.load_workbook(io.BytesIO(content))["Report"]


async def values_of(rows: list[list[Any]], types: tuple[str, ...] = TYPES) -> list[list[Any]]:
    return [list(row) for row in (await sheet_of(rows, types)).values]


async def test_cells_have_the_types_of_their_columns() -> None:
    row = ["Ada", 12, "1234.50", True, "2026-01-02", "2026-01-02T03:04:05.500000Z"]
    sheet = await sheet_of([row, [None] * 6])
    assert [cell.value for cell in sheet[1]] == list(TYPES)
    values = [cell.value for cell in sheet[2]]
    assert values[:5] == ["Ada", 12, 1234.5, True, datetime(2026, 1, 2)]  # noqa: DTZ001  a cell knows no zone
    assert abs((values[5] - datetime(2026, 1, 2, 3, 4, 5, 500000)).total_seconds()) < 0.001  # noqa: DTZ001  as above
    assert [cell.is_date for cell in sheet[2]] == [False, False, False, False, True, True]
    assert [cell.value for cell in sheet[3]] == [None] * 6


async def test_what_looks_like_a_formula_is_text() -> None:
    sheet = await sheet_of([["=1+1"], ["@SUM(A1)"], ["-2"]], ("text",))
    assert [(row[0].value, row[0].data_type) for row in sheet.iter_rows(min_row=2)] == [
        ("=1+1", "s"), ("@SUM(A1)", "s"), ("-2", "s"),
    ]  # fmt: skip


async def test_texts_come_out_as_they_went_in_but_for_what_xml_cannot_hold() -> None:
    found = await values_of([[text] for text in AWKWARD], ("text",))
    left = [text.replace("\x01", "").replace("\x1f", "") for text in AWKWARD]
    shown = [text.replace("_x0041_", "_x005F_x0041_") for text in left]
    assert [row[0] for row in found[1:]] == shown


async def test_what_a_cell_has_no_room_for() -> None:
    rows = [["x" * 40_000, "NaN", "0001-01-01"], ["", "9" * 30, "1899-12-31"]]
    _, first, second = await values_of(rows, ("text", "decimal", "date"))
    assert (len(first[0]), first[1:]) == (32_767, ["NaN", "0001-01-01"])
    assert second[1:] == [10**30 - 1, "1899-12-31"]


async def test_the_same_rows_give_the_same_file() -> None:
    async def given() -> AsyncIterator[bytes]:
        yield b'{"text":"a"}\n'

    shape = Shape(("text",), ("text",), 1, 13, AT)
    first, second = [b"".join([part async for part in workbook(shape, given())]) for _ in range(2)]
    assert first == second
    assert zipfile.ZipFile(io.BytesIO(first)).testzip() is None


async def test_a_sheet_that_may_be_huge_can_be_read_too() -> None:
    async def given() -> AsyncIterator[bytes]:
        yield b'{"text":"a"}\n'

    content = b"".join([part async for part in workbook(Shape(("text",), ("text",), 1, 2**40, AT), given())])
    assert openpyxl.load_workbook(io.BytesIO(content))["Report"]["A2"].value == "a"


async def test_others_are_served_while_a_workbook_is_made() -> None:
    lines = b"".join(b'{"text":"Person %d","integer":%d}\n' % (n, n) for n in range(1000))

    async def given() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield lines

    waits = []

    async def other() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0)
            waits.append(time.perf_counter() - began)

    task = asyncio.create_task(other())
    shape = Shape(("text", "integer"), ("text", "integer"), 20_000, len(lines) * 20, AT)
    length = sum([len(part) async for part in workbook(shape, given())])
    task.cancel()
    assert length > 10_000
    waits.sort()
    assert waits[len(waits) * 99 // 100] < 0.05


async def test_a_run_as_a_workbook(runtime: Runtime) -> None:
    books = Books(runtime.database)
    application = await seats(books, ["=1", "zz"])
    await books.account(application, "used", used=days_ago(1))
    columns = ["name", "days_active", "last_active_at"]
    run = await answered(runtime, columns=columns, filters=of(application), sort=["name"])
    sheet = openpyxl.load_workbook(io.BytesIO(await downloaded(runtime, run, "xlsx")))["Report"]
    header, *found = [list(row) for row in sheet.values]
    assert header == run.columns
    assert [row[:2] for row in found] == [["=1", 0], ["used", 1], ["zz", 0]]
    assert isinstance(found[1][3], datetime)


async def test_too_many_rows_for_a_sheet_are_refused(runtime: Runtime) -> None:
    run = await answered(runtime, filters=of(await seats(Books(runtime.database), [])))
    await runtime.database.pool.execute("UPDATE report_runs SET total_rows = $2 WHERE id = $1", run.id, MOST_ROWS + 1)
    with pytest.raises(InvalidInput) as refused:
        await file_of(runtime.database.pool, await read(runtime, run.id), "xlsx")
    assert "csv" in refused.value.errors[0].detail
