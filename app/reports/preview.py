"""A look at what a report would say, with nothing stored."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from app.core.clock import now
from app.core.database import Pool
from app.core.errors import InvalidInput
from app.reports.columns import Type
from app.reports.definition import definition_errors
from app.reports.query import build, build_count

ROWS = 50
PATIENCE_S = 30


async def preview(pool: Pool, definition: Mapping[str, Any]) -> dict[str, Any]:
    """`{"columns", "rows", "total_rows"}`: the keys of the columns, at most 50 rows as objects, and how many there are.

    Raises InvalidInput that names what is wrong with the definition, and where it takes longer than PATIENCE_S.
    """
    try:
        async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            if errors := await definition_errors(connection.fetch, definition):
                raise InvalidInput(errors)
            await connection.execute(f"SET LOCAL statement_timeout = '{PATIENCE_S}s'")
            await connection.execute("SET LOCAL jit = off")
            at = now()
            question = await build(connection, definition, at)
            rows = await connection.fetch(f"{question.sql} LIMIT {ROWS}", *question.values)
            count, values = await build_count(connection, definition, at)
            total = await connection.fetchval(count, *values)
    except asyncpg.QueryCanceledError as error:
        detail = f"This takes longer than {PATIENCE_S} s to look at; filter it more narrowly, or save it and run it."
        raise InvalidInput.at("#", detail) from error
    shown = [
        {column.key: _written(value, column.type) for column, value in zip(question.columns, row, strict=False)}
        for row in rows
    ]
    return {"columns": [column.key for column in question.columns], "rows": shown, "total_rows": total}


def _written(value: Any, type_: Type) -> Any:
    """As runs write it: without exponents, money as a text."""
    if not isinstance(value, Decimal):
        return value
    return format(value, "f") if type_ == "decimal" else msgspec.Raw(format(value.normalize(), "f").encode())
