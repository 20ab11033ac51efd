"""How a person is taken out of texts and out of written rows."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from uuid import UUID

import msgspec
import pytest

from app.erasure.runs import rewritten
from app.erasure.traces import Eraser, Traces
from tests.reports.answering import AWKWARD, parsed

ME, OTHER = UUID(int=1), UUID(int=2)
NAME = 'Zoë "Zo" O\'Brien'
ERASER = Eraser(Traces(ME, frozenset({UUID(int=3)}), frozenset({NAME, "zoe@example.com", "zoe.b", "Li"})))


@pytest.mark.parametrize(
    ("text", "without"),
    [
        (f"Ask {NAME}.", "Ask [erased]."),
        (f"<p>{html.escape(NAME)}</p>", "<p>[erased]</p>"),
        (json.dumps({"n": NAME}), '{"n": "[erased]"}'),
        (json.dumps({"n": NAME}, ensure_ascii=False), '{"n": "[erased]"}'),
        ("ZOE@EXAMPLE.COM, zoe@example.com.", "[erased], [erased]."),
        ("notzoe@example.com a.zoe@example.com zoe-b", "notzoe@example.com a.zoe@example.com zoe-b"),
        ("login=zoe.b;", "login=[erased];"),
        ("Li is too short to be looked for", "Li is too short to be looked for"),
    ],
)
def test_names_leave_texts_as_words(text: str, without: str) -> None:
    assert ERASER.out_of_text(text) == without


def test_thousands_of_accounts_make_no_pattern_that_takes_for_ever() -> None:
    ids = [UUID(int=number) for number in range(10, 5010)]
    eraser = Eraser(Traces(ME, frozenset(ids), frozenset({"zoe@example.com"})))
    assert max(pattern.count("|") for pattern in eraser.patterns) < 100
    told = [str(ME), str(ids[-1]).upper(), "ask ZOE@example.com"]
    for text in told:
        assert eraser.is_in(text)
        assert any(re.search(pattern, text, re.IGNORECASE) for pattern in eraser.patterns)
    assert not eraser.is_in(str(UUID(int=9)))


def test_names_of_members_stay() -> None:
    assert ERASER.out_of_texts({"zoe.b": ["zoe.b", 1, None, {"x": "by zoe.b"}]}) == {
        "zoe.b": ["[erased]", 1, None, {"x": "by [erased]"}]
    }


def test_a_person_without_any_name_is_found_by_id() -> None:
    nobody = Eraser(Traces(ME, frozenset(), frozenset()))
    assert nobody.is_in(f'{{"person_id": "{ME}"}}')
    assert not nobody.is_in(f'{{"person_id": "{OTHER}"}}')
    assert nobody.out_of_text("as it was") == "as it was"


def _chunk(rows: list[dict[str, Any]], csv: str, subjects: list[UUID | None]) -> Any:
    ndjson = "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)
    return {"ndjson": ndjson, "csv": csv, "subjects": subjects}


def _cell(text: str) -> str:
    guarded = f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    return f'"{guarded.replace(chr(34), chr(34) * 2)}"'


def test_awkward_rows_of_others_stay_byte_for_byte() -> None:
    rows = [{"name": text, "email": None, "n": 7} for text in AWKWARD]
    csv = [f"{_cell(text)},,7\r\n" for text in AWKWARD]
    mine: dict[str, int | str | None] = {"name": NAME, "email": "zoe@example.com", "n": 8}
    place = 3
    rows.insert(place, mine)
    csv.insert(place, f"{_cell(NAME)},zoe@example.com,8\r\n")
    subjects: list[UUID | None] = [OTHER] * len(rows)
    subjects[place] = ME
    chunk = _chunk(rows, "".join(csv), subjects)
    ndjson, table = rewritten(chunk, ["name", "email", "n"], ERASER)
    csv[place] = "Erased person,,8\r\n"
    assert table == "".join(csv)
    assert msgspec.json.decode(ndjson.split("\n")[place]) == {"name": "Erased person", "email": None, "n": 8}
    assert ndjson.split("\n")[:place] == chunk["ndjson"].split("\n")[:place]
    assert ndjson.split("\n")[place + 1 :] == chunk["ndjson"].split("\n")[place + 1 :]


def test_what_is_written_anew_is_guarded_as_before() -> None:
    formula = "=HYPERLINK(zoe@example.com)"
    chunk = _chunk([{"fields.boss": formula}], f"{_cell(formula)}\r\n", [OTHER])
    _, table = rewritten(chunk, ["fields.boss"], ERASER)
    assert parsed(table.encode()) == [["'=HYPERLINK([erased])"]]


def test_a_row_of_one_cell_is_never_an_empty_line() -> None:
    chunk = _chunk([{"email": "zoe@example.com"}], "zoe@example.com\r\n", [ME])
    assert rewritten(chunk, ["email"], ERASER) == ('{"email":null}\n', '""\r\n')
