"""Rows as an Excel workbook of one sheet (ECMA-376), streamed: nothing is held but the rows at hand.

Cells are typed: numbers, booleans, dates and times with a style, all else inline text; no cell is ever a formula. What
Excel has no room for is left out: characters that XML cannot hold, and texts beyond 32,767 characters are cut off.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

# A sheet has 1,048,576 rows, the header is one of them.
MOST_ROWS = 1_048_575
LONGEST_TEXT = 32_767
_LEVEL = 1
# Rows of one turn in the thread: about a millisecond in which nothing else can run.
_PIECE = 250
# The widest cell's markup, and how far escaping stretches a text at most.
_MARKUP_BYTES = 70
_ESCAPED = 6
_ZIP64_FROM = 2**31 - 1
_EPOCH = date(1899, 12, 30)
# Excel takes 1900 for a leap year; from here on its day numbers are right.
_FIRST_DATE = date(1900, 3, 1)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# What a text may not hold as it is: the above, markup, and a return, which parsers take for a line feed.
_SPECIAL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff&<>]|_x")
# Excel reads `_x0041_` as the character with that number.
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_DATE_STYLE, _TIME_STYLE = 1, 2

_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<sheets><sheet name="Report" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}">'
    '<numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
_SHEET_BEGINS = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2"'
    ' activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
_SHEET_ENDS = "</sheetData></worksheet>"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of the rows beforehand.

    keys, types    of the columns.
    ndjson_bytes   of all rows.
    at             the date that the parts of the file bear, so that the same rows give the same file.
    """

    keys: tuple[str, ...]
    types: tuple[str, ...]
    rows: int
    ndjson_bytes: int
    at: datetime


async def workbook(shape: Shape, lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The file, piece by piece. `lines`: the rows as NDJSON, any number of whole lines at a time."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as archive:  # type: ignore[call-overload]  # a stream will do
        for name, content in _PARTS.items():
            archive.writestr(_part(name, shape.at), _XML + content)
        cells = [_CELLS[type_] for type_ in shape.types]
        with archive.open(_part("xl/worksheets/sheet1.xml", shape.at), "w", force_zip64=_is_huge(shape)) as sheet:
            sheet.write((_SHEET_BEGINS + _row(_text(key) for key in shape.keys)).encode())
            async for chunk in lines:
                for piece in _pieces(chunk):
                    # Compressing leaves the interpreter to others; the rest is short.
                    await asyncio.to_thread(_write, sheet, piece, cells)
                    yield sink.taken()
            sheet.write(_SHEET_ENDS.encode())
    yield sink.taken()


def _part(name: str, at: datetime) -> ZipInfo:
    info = ZipInfo(name, at.timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    return info


def _is_huge(shape: Shape) -> bool:
    """Whether the sheet may be too large for a plain ZIP file; some readers take no other where it is not needed."""
    return shape.ndjson_bytes * _ESCAPED + (shape.rows + 1) * len(shape.keys) * _MARKUP_BYTES > _ZIP64_FROM


def _pieces(chunk: bytes) -> Iterator[bytes]:
    lines = chunk.splitlines()
    for start in range(0, len(lines), _PIECE):
        yield b"\n".join(lines[start : start + _PIECE])


def _write(sheet: Any, lines: bytes, cells: Sequence[Callable[[Any], str]]) -> None:
    rows = msgspec.json.Decoder().decode_lines(lines)
    written = [
        _row("<c/>" if value is None else cell(value) for cell, value in zip(cells, row.values(), strict=True))
        for row in rows
    ]
    sheet.write("".join(written).encode())


class _Sink:
    """What the archive has written and nobody has taken yet. It cannot go back, so the archive does not try to."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _row(cells: Iterator[str]) -> str:
    return f"<row>{''.join(cells)}</row>"


def _text(value: str) -> str:
    if len(value) > LONGEST_TEXT or _SPECIAL.search(value):
        value = _escaped(value)
    if value.strip() == value:
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'


def _escaped(value: str) -> str:
    value = _ESCAPE.sub("_x005F_", _UNWRITABLE.sub("", value)[:LONGEST_TEXT])
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value.replace("\r", "&#13;")


def _number(value: int | str) -> str:
    """Decimals come as texts; what is no finite number stays one."""
    if isinstance(value, int) or _NUMBER.fullmatch(value):
        return f"<c><v>{value}</v></c>"
    return _text(value)


def _boolean(value: bool) -> str:
    return f'<c t="b"><v>{value:d}</v></c>'


def _date(value: str) -> str:
    day = _parsed(date, value)
    if day is None or day < _FIRST_DATE:
        return _text(value)
    return f'<c s="{_DATE_STYLE}"><v>{(day - _EPOCH).days}</v></c>'


def _time(value: str) -> str:
    """In UTC, for a cell knows no zone."""
    moment = _parsed(datetime, value)
    if moment is None or moment.date() < _FIRST_DATE:
        return _text(value)
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    return f'<c s="{_TIME_STYLE}"><v>{(moment.date() - _EPOCH).days + seconds / 86400:.10f}</v></c>'


def _parsed(type_: type[Any], value: str) -> Any:
    """None for what Python's calendar does not reach."""
    try:
        return type_.fromisoformat(value)
    except ValueError:
        return None


_CELLS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "integer": _number,
    "number": _number,
    "decimal": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _time,
}
