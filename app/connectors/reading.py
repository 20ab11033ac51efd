"""Reading vendors' records leniently: one odd record is set aside, an answer of another shape is an error.

Values are taken as they come and judged one by one, so that a strange value in a side field costs that field only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import httpx
import msgspec

from app.connectors.contract import Page, Rejected, User
from app.core.errors import UnexpectedAnswer
from app.http.vendor import Answer

T = TypeVar("T")

UNREADABLE: tuple[type[Exception], ...] = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_TRUE = frozenset({"true", "enabled", "yes"})
_FALSE = frozenset({"false", "disabled", "no"})
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


def decode(answer: Answer, decoder: msgspec.json.Decoder[T], *, expected: str) -> T:
    """The decoded body; UnexpectedAnswer, saying what was `expected`, where it has another shape."""
    try:
        return decoder.decode(answer.content)
    except UNREADABLE:
        raise wrong_shape(answer, expected=expected) from None


def wrong_shape(answer: Answer, *, expected: str) -> UnexpectedAnswer:
    path = httpx.URL(answer.url).path
    return UnexpectedAnswer(
        f"The answer is JSON, but not {expected}.", request=f"GET {path}", vendor_status=answer.status
    )


def read_page(
    raws: Iterable[msgspec.Raw],
    read: Callable[[msgspec.Raw], T | Rejected | None],
    *,
    cursor: str | None,
    expected: int | None = None,
) -> Page[T]:
    """One page, the last where there is no cursor. `read` answers None for an entry that is no record of the stream."""
    records: list[T] = []
    rejected: list[Rejected] = []
    ignored = 0
    for raw in raws:
        outcome = read(raw)
        if outcome is None:
            ignored += 1
        elif isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            records.append(outcome)
    return Page(
        records=records, last=cursor is None, cursor=cursor, rejected=rejected, expected=expected, ignored=ignored
    )


def unreadable(raw: msgspec.Raw, detail: str) -> Rejected:
    """A record set aside, under its own id where at least that can be read."""
    try:
        record: Any = msgspec.json.decode(raw)
    except UNREADABLE:
        record = None
    vendor_id = text(record.get("id") or record.get("uuid")) if isinstance(record, dict) else None
    return Rejected(vendor_id, "unreadable_record", detail)


def identified(user: User) -> User | Rejected:
    """The user, unless nobody could tell who it is: neither e-mail nor username."""
    if user.email is None and user.username is None:
        return Rejected(user.vendor_id, "no_identity", "The record has neither an e-mail address nor a username.")
    return user


def text(value: object) -> str | None:
    """A text; None for a blank or another type; a whole number gives its digits. NUL, which no database text can
    hold, is dropped.
    """
    if type(value) is str:
        whole = value.replace("\x00", "") if "\x00" in value else value
        return whole if whole and not whole.isspace() else None
    return str(value) if type(value) is int else None


def flag(value: object) -> bool | None:
    """A boolean, also where the vendor spells it as a word; None for anything else."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _TRUE:
        return True
    return False if word in _FALSE else None


def moment(value: object) -> datetime | None:
    """An ISO 8601 time as aware UTC; one that names no zone is UTC already. None where it is no time."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def within(value: object, key: str) -> Any:
    """A member of an object; None where the value is no object or lacks it."""
    return value.get(key) if isinstance(value, dict) else None


def plain(value: object) -> Any:
    """A JSON scalar or a list of them, as metadata holds it; None for a blank text or an object."""
    if type(value) is str:
        return text(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, bool | int | float) else None


def display_name(
    formatted: str | None, given: str | None, family: str | None, username: str | None, email: str | None
) -> str | None:
    """The name to show: the formatted one, else given and family name, else the username, else the e-mail."""
    return formatted or " ".join(part for part in (given, family) if part) or username or email


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """`costCenter`, `CostCenter` and `cost-center` are all `cost_center`."""
    return _WORD_STARTS.sub("_", name).strip("_").lower()


def kept(raw: msgspec.Raw, *, drop: str) -> bytes:
    """The record's bytes without the member `drop`, nearly always the bytes as received."""
    received = bytes(raw)
    if f'"{drop}"'.encode() in received:
        members = _OBJECT.decode(received)
        members.pop(drop, None)
        received = msgspec.json.encode(members)
    if b"\\u0000" in received:
        received = msgspec.json.encode(_without_nul(msgspec.json.decode(received)))
    return received


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value
