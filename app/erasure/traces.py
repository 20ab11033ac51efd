"""What a person is known by, and how it is taken out of texts."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

# In place of a name, where there has to be one.
NAME = "Erased person"
# In place of a name within a text.
MARK = "[erased]"
# Shorter names are taken out of what is known to be about the person, but not looked for in texts.
_SHORTEST = 3
_ALTERNATIVES = 100
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Traces(msgspec.Struct, frozen=True):
    """A person's id, the ids of their accounts, and every name, address and login that the books had of them."""

    person_id: UUID
    accounts: frozenset[UUID]
    names: frozenset[str]

    @property
    def ids(self) -> list[UUID]:
        return [self.person_id, *self.accounts]

    def joined(self, other: Traces) -> Traces:
        return Traces(self.person_id, self.accounts | other.accounts, self.names | other.names)


class Eraser:
    """Takes one person out of texts and values.

    patterns   for PostgreSQL's `~* ANY`: every text that names the person or one of their accounts matches one, and
               some more. Of bounded length, for the time PostgreSQL takes to compile one grows with its square.
    """

    def __init__(self, traces: Traces) -> None:
        self.traces = traces
        long = sorted((name for name in traces.names if len(name) >= _SHORTEST), key=len, reverse=True)
        spelled = [spelling for name in long for spelling in _spellings(name)]
        self.patterns = [_either(part) for part in _parts([*map(str, traces.ids), *spelled])]
        self._named = re.compile(_either(spelled), re.IGNORECASE) if spelled else None
        self._ids = {str(each) for each in traces.ids}
        self._exact = {name.casefold() for name in traces.names}
        self._words = _words(spelled)

    def is_mine(self, *ids: object) -> bool:
        return any(str(each) in self._ids for each in ids)

    def is_in(self, text: str) -> bool:
        """Whether a text may name the person, or one of their accounts."""
        named = self._named is not None and self._named.search(text) is not None
        return named or any(found in self._ids for found in _ID.findall(text.lower()))

    def is_name(self, text: str | None) -> bool:
        return text is not None and text.casefold() in self._exact

    def out_of_text(self, text: str) -> str:
        """A text without the person's names, wherever they stand in it as words."""
        return self._words.sub(MARK, text) if self._words else text

    def out_of_texts(self, value: Any) -> Any:
        """The same for each text within a JSON value; the names of its members stay."""
        if isinstance(value, str):
            return self.out_of_text(value)
        if isinstance(value, dict):
            return {key: self.out_of_texts(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.out_of_texts(member) for member in value]
        return value


def _either(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, texts))


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _ALTERNATIVES):
        yield texts[start : start + _ALTERNATIVES]


def _spellings(name: str) -> set[str]:
    """As it stands in plain text, in HTML, and in JSON of either kind."""
    return {name, html.escape(name), json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]}


def _words(names: Iterable[str]) -> re.Pattern[str] | None:
    escaped = [re.escape(name) for name in names]
    return re.compile(rf"(?<![\w+-])(?<!\w\.)(?:{'|'.join(escaped)})(?![\w-])", re.IGNORECASE) if escaped else None
