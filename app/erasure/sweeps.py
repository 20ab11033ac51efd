"""Going through a table stretch by stretch, and changing the rows in which a person is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.database import Connection, Record
from app.erasure.traces import Eraser

STRETCH = 5000

Cleaner = Callable[[Eraser, Mapping[str, Any]], dict[str, Any]]
"""From a row to its columns as they should be."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A table, the columns of its primary key with values before all others, and the columns that may name somebody.

    people   whether it writes people, or what syncs write together with them.
    """

    table: str
    key: Mapping[str, Any]
    columns: tuple[str, ...]
    clean: Cleaner
    people: bool = False

    async def next_end(self, connection: Connection, after: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The key of the last row of the stretch behind a key; None where the stretch ends with the table."""
        row = await connection.fetchrow(
            f"SELECT {self._names} FROM {self.table} WHERE ({self._names}) > ({_places(1, len(after))})"
            f" ORDER BY {self._names} OFFSET {STRETCH - 1} LIMIT 1",
            *after,
        )
        return None if row is None else tuple(row.values())

    async def rows(
        self, connection: Connection, patterns: Sequence[str], after: tuple[Any, ...], upto: tuple[Any, ...] | None
    ) -> list[Record]:
        """The rows of a stretch that may name somebody, locked."""
        texts = ", ".join(f"{column}::text" for column in self.columns)
        where = f"({self._names}) > ({_places(1, len(after))})"
        if upto is not None:
            where += f" AND ({self._names}) <= ({_places(1 + len(after), len(after))})"
        values = [*after, *(upto or ()), patterns]
        rows = await connection.fetch(
            f"SELECT {self._names}, {', '.join(self.columns)} FROM {self.table}"
            f" WHERE {where} AND concat_ws(' ', {texts}) ~* ANY(${len(values)}::text[])"
            f" ORDER BY {self._names} FOR NO KEY UPDATE",
            *values,
        )
        return list(rows)

    async def write(self, connection: Connection, eraser: Eraser, row: Record) -> None:
        old = dict(row)
        new = {name: value for name, value in self.clean(eraser, old).items() if value != old[name]}
        if not new:
            return
        keys = [old[name] for name in self.key]
        settings = ", ".join(f"{name} = ${place}" for place, name in enumerate(new, start=len(keys) + 1))
        await connection.execute(
            f"UPDATE {self.table} SET {settings} WHERE ({self._names}) = ({_places(1, len(keys))})",
            *keys,
            *new.values(),
        )

    @property
    def _names(self) -> str:
        return ", ".join(self.key)


def _places(first: int, count: int) -> str:
    return ", ".join(f"${place}" for place in range(first, first + count))
