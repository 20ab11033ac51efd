"""The search for secrets finds them: however they are written, wherever they are packed."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from email.message import EmailMessage
from urllib.parse import quote

import asyncpg
import pytest

from tests.edges.calling import kept_answer
from tests.edges.canaries import Canaries
from tests.edges.places import dumped, leaks, mailed

SECRET = 'q7/+=~"X2mvB0Zr9Lk4TnWc6Yh1Jd8Gs5'
RAW = SECRET.encode()


@pytest.fixture
def canaries() -> Canaries:
    known = Canaries()
    known.know("it", SECRET)
    return known


@pytest.mark.parametrize(
    "written",
    [
        RAW,
        SECRET[:18].encode(),
        SECRET[16:].encode(),
        quote(SECRET).encode(),
        quote(SECRET, safe="").encode(),
        json.dumps({"a": SECRET}).encode(),
        json.dumps({"a": SECRET}).replace("/", "\\/").encode(),
        RAW.hex().encode(),
        RAW.hex().upper().encode(),
        *(base64.b64encode(before + RAW + b"after") for before in (b"", b"1", b"22", b"user:")),
        *(base64.urlsafe_b64encode(before + RAW).rstrip(b"=") for before in (b"", b"1", b"22")),
    ],
)
def test_a_secret_is_found_in_any_form(canaries: Canaries, written: bytes) -> None:
    assert canaries.named_in(b"before " + written + b" after") == {"it"}
    assert leaks(canaries, [b"nothing", written]) == {"it": written}
    assert leaks(canaries, [written], allowed=frozenset({"it"})) == {}


def test_what_is_no_secret_is_not_found(canaries: Canaries) -> None:
    assert canaries.named_in(SECRET[:12] + "…" + SECRET[-12:]) == set()


async def test_bytes_in_a_dump_are_read(database_url: str, canaries: Canaries) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE planted (content bytea)")
    await connection.execute("INSERT INTO planted VALUES ($1)", base64.b64encode(b"1" + RAW))
    lines = await dumped(database_url)
    await connection.execute("DROP TABLE planted")
    await connection.close()
    assert leaks(canaries, lines) == {"it": base64.b64encode(b"1" + RAW)}


def test_what_is_packed_in_a_mail_is_read(canaries: Canaries) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet1.xml", f"<v>{SECRET}</v>" * 3)
    mail = EmailMessage()
    mail["To"] = "ada@example.com"
    mail.set_content("See the file.")
    assert leaks(canaries, list(mailed(mail.as_bytes()))) == {}
    mail.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="rows.xlsx")
    assert leaks(canaries, list(mailed(mail.as_bytes()))).keys() == {"it"}


def test_of_an_answer_only_the_member_that_shows_a_secret_is_left_out() -> None:
    known = Canaries()
    body = json.dumps({"id": "1", "key": SECRET, "name": SECRET})
    kept = kept_answer(known, "POST", "/v1/api-keys", 201, "[]", body)
    assert kept.count(json.dumps(SECRET).encode()) == 1
    assert known.named_in(kept) == {"API key"}
    assert known.named_in(kept_answer(known, "GET", "/v1/api-keys", 200, "[]", body)) == {"API key"}
