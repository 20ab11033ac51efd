"""Rows written out as NDJSON and CSV by PostgreSQL itself, so that a million of them cost no work in Python.

NDJSON: one compact JSON object for each row, members in the order of the columns, then a line feed. Times are RFC 3339
in UTC, money is a string, so that it keeps every digit; what is absent is null.
CSV: RFC 4180. Null is empty, an empty text is `""`; a text that a spreadsheet would take for a formula gets a `'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.reports.columns import Type

_DAY = "to_char({0}, 'YYYY-MM-DD')"
# Six digits of a second, or none where they are zero, as the rest of the API writes times.
_TIME = "replace(to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '.000000', '') || 'Z'"
_JSON = {
    "text": "to_json({0})::text",
    "integer": "{0}::text",
    "number": "trim_scale({0})::text",
    "decimal": "'\"' || {0}::text || '\"'",
    "boolean": "{0}::text",
    "date": f"'\"' || {_DAY} || '\"'",
    "datetime": f"'\"' || {_TIME} || '\"'",
}
# The characters of an injected formula (OWASP, "CSV Injection") and those that RFC 4180 wants quotes for.
_GUARDED = r"CASE WHEN {0} ~ '^[=+\-@\t\r]' THEN '''' || {0} ELSE {0} END"
_QUOTED = """CASE WHEN {0} ~ '[",\\r\\n]' OR {0} = '' THEN '"' || replace({1}, '"', '""') || '"' ELSE {1} END"""
_CSV = {
    "text": _QUOTED.format("{0}", _GUARDED),
    "integer": "{0}::text",
    "number": "trim_scale({0})::text",
    "decimal": "{0}::text",
    "boolean": "{0}::text",
    "date": _DAY,
    "datetime": _TIME,
}
# concat() takes a hundred arguments.
_PARTS = 90


class Column(Protocol):
    """A column of a statement's answer."""

    @property
    def key(self) -> str: ...

    @property
    def type(self) -> Type: ...


class Parameters(Protocol):
    """The parameters of a statement in the making."""

    def add(self, value: str) -> str:
        """The placeholder under which the statement finds the value."""
        ...


def ndjson_line(columns: Sequence[Column], parameters: Parameters) -> str:
    """SQL for one row, in columns `c0`, `c1`, …, as a line of NDJSON. Keys go in as parameters, not as SQL."""
    parts = []
    for place, column in enumerate(columns):
        key = f"{'{' if place == 0 else ','}{msgspec.json.encode(column.key).decode()}:"
        parts.append(f"{parameters.add(key)}::text")
        parts.append(f"coalesce({_JSON[column.type].format(f'c{place}')}, 'null')")
    return _concat([*parts, "E'}\\n'"])


def csv_line(columns: Sequence[Column]) -> str:
    """SQL for one row, in columns `c0`, `c1`, …, as a line of CSV with its CRLF."""
    if len(columns) == 1:  # an empty line would be no row at all
        return f"""coalesce({_CSV[columns[0].type].format("c0")}, '""') || E'\\r\\n'"""
    parts = []
    for place, column in enumerate(columns):
        parts += ["','"] * (place > 0) + [_CSV[column.type].format(f"c{place}")]
    return _concat([*parts, "E'\\r\\n'"])


def csv_header(keys: Sequence[str]) -> bytes:
    """The first line of a CSV file, written as the rows are."""
    return ",".join(_quoted(_guarded(key)) for key in keys).encode() + b"\r\n"


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _quoted(text: str) -> str:
    if any(character in text for character in '",\r\n') or not text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _concat(parts: Sequence[str]) -> str:
    """SQL that joins the parts; a null is nothing."""
    while len(parts) > _PARTS:
        parts = [_concat(parts[start : start + _PARTS]) for start in range(0, len(parts), _PARTS)]
    return f"concat({', '.join(parts)})"
