"""The `filters` of ISC's lists, as far as the simulated tenant reads them.

Facts: developer.sailpoint.com/docs/api/standard-collection-parameters. Operators are in lower case; a value may be
escaped a second time, for `#` and `%` have to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from app.demo.vendors.roster import Record

_TOKEN = re.compile(r'\s*(?:([()\[\],])|"((?:[^"\\]|\\.)*)"|([A-Za-z][\w.]*))')
_CLOSING = {"(": ")", "[": "]"}


class Unreadable(Exception):
    """A filter that the tenant does not take; the text says why."""


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison; `values` are several only for `in`."""

    field: str
    op: str
    values: tuple[str, ...]

    def holds(self, record: Mapping[str, Any]) -> bool:
        value = record.get(self.field)
        if value is None:
            return False
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if self.op == "sw":
            return text.startswith(self.values[0])
        if self.op == "co":
            return self.values[0] in text
        return text in self.values


@dataclass(frozen=True, slots=True)
class Both:
    """Several conditions, all (`and`) or at least one (`or`) of which must hold."""

    word: Literal["and", "or"]
    parts: tuple[Condition, ...]

    def holds(self, record: Mapping[str, Any]) -> bool:
        return (all if self.word == "and" else any)(part.holds(record) for part in self.parts)


Condition = Term | Both


def read_filter(text: str | None, allowed: Mapping[str, str]) -> Condition | None:
    """What a `filters` parameter asks for, None without one.

    allowed   operators by field, separated by spaces.
    Raises Unreadable.
    """
    return _Reader(text, allowed).read() if text else None


def fits(condition: Condition | None) -> Callable[[Record], bool]:
    return condition.holds if condition is not None else lambda _: True


def pinned(condition: Condition | None, field: str) -> tuple[str, ...] | None:
    """The only values that a field can have where the condition holds, None where it may have any."""
    if isinstance(condition, Term):
        return condition.values if condition.field == field and condition.op in {"eq", "in"} else None
    if condition is None or condition.word == "or":
        return None
    return next((values for part in condition.parts if (values := pinned(part, field)) is not None), None)


class _Reader:
    """Reads by descent: `or` binds less than `and`, parentheses bind most."""

    def __init__(self, text: str, allowed: Mapping[str, str]) -> None:
        self._tokens = _tokens(text)
        self._allowed = allowed
        self._at = 0

    def read(self) -> Condition:
        condition = self._joined("or", lambda: self._joined("and", self._one))
        if self._at != len(self._tokens):
            raise Unreadable(f"Nothing is expected at {self._tokens[self._at][1]}.")
        return condition

    def _joined(self, word: Literal["and", "or"], part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._next_is(word):
            self._at += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(word, tuple(parts))

    def _one(self) -> Condition:
        if not self._next_is("("):
            return self._term()
        self._at += 1
        condition = self._joined("or", lambda: self._joined("and", self._one))
        self._take(")")
        return condition

    def _term(self) -> Term:
        field, op = self._take_kind("word"), self._take_kind("word")
        if op not in self._allowed.get(field, "").split():
            raise Unreadable(f"{field} {op} is not supported.")
        return Term(field, op, self._list() if op == "in" else (self._value(),))

    def _list(self) -> tuple[str, ...]:
        opening = self._take("(", "[")
        values = [self._value()]
        while self._next_is(","):
            self._at += 1
            values.append(self._value())
        self._take(_CLOSING[opening])
        return tuple(values)

    def _value(self) -> str:
        if self._next_is("true") or self._next_is("false"):
            return self._take_kind("word")
        return self._take_kind("text")

    def _next_is(self, word: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] in {("word", word), ("mark", word)}

    def _take(self, *marks: str) -> str:
        mark = self._take_kind("mark")
        if mark not in marks:
            raise Unreadable(f"{marks[0]} is expected in place of {mark}.")
        return mark

    def _take_kind(self, kind: str) -> str:
        if self._at == len(self._tokens):
            raise Unreadable("The filter ends too early.")
        found, token = self._tokens[self._at]
        if found != kind:
            raise Unreadable(f"A {kind} is expected in place of {token}.")
        self._at += 1
        return token


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, token): kind is `mark`, `text` (in quotes) or `word`."""
    tokens, at, text = [], 0, text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unreadable(f"The filter cannot be read from {text[at : at + 20]!r} on.")
        mark, quoted, word = found.groups()
        if quoted is not None:
            tokens.append(("text", unquote(re.sub(r"\\(.)", r"\1", quoted))))
        else:
            tokens.append(("mark", mark) if mark else ("word", word))
        at = found.end()
    return tokens
