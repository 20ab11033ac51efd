"""A tenant's users by number: records are made when they are asked for, and only what tests change is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

Record = dict[str, Any]

_BITS = 48
_MASK = (1 << _BITS) - 1
_FACTOR = 0x5DEECE66D
_INVERSE = pow(_FACTOR, -1, 1 << _BITS)


class Ids:
    """Numbers as ids that look random and can be read back: prefix, 12 hexadecimal digits, suffix."""

    def __init__(self, prefix: str, suffix: str = "", salt: int = 0) -> None:
        self._prefix, self._suffix, self._salt = prefix, suffix, salt

    def encode(self, number: int) -> str:
        return f"{self._prefix}{(number * _FACTOR + self._salt) & _MASK:012x}{self._suffix}"

    def decode(self, text: str) -> int | None:
        """The number of an id, None where it was never given out by `encode`."""
        middle = text[len(self._prefix) : len(self._prefix) + 12]
        try:
            number = (int(middle, 16) - self._salt) * _INVERSE & _MASK
        except ValueError:
            return None
        return number if self.encode(number) == text else None


class IdCode(Protocol):
    def encode(self, number: int) -> str: ...

    def decode(self, text: str) -> int | None: ...


class Roster:
    """Users 0 … count-1 of one tenant.

    make  builds the vendor-shaped record of a number. Changes are laid over it, objects member by member; a change
          to the value `ABSENT` takes the member away.
    """

    def __init__(self, count: int, ids: IdCode, make: Callable[[int], Record]) -> None:
        self.count = count
        self.ids = ids
        self._make = make
        self._removed: set[int] = set()
        self._changes: dict[int, Record] = {}

    def __len__(self) -> int:
        return self.count - len(self._removed)

    def __contains__(self, number: int) -> bool:
        return 0 <= number < self.count and number not in self._removed

    def number(self, user_id: str) -> int:
        """The number of a listed user. Raises KeyError where there is none of that id."""
        found = self.ids.decode(user_id)
        if found is None or found not in self:
            raise KeyError(user_id)
        return found

    def numbers(self, start: int = 0) -> Iterator[int]:
        return (n for n in range(max(start, 0), self.count) if n not in self._removed)

    def record(self, number: int) -> Record:
        record = self._make(number)
        if change := self._changes.get(number):
            _lay_over(record, change)
        return record

    def add(self) -> int:
        self.count += 1
        return self.count - 1

    def remove(self, number: int) -> None:
        self._removed.add(number)

    def change(self, number: int, change: Record) -> None:
        _lay_over(self._changes.setdefault(number, {}), change, keep_absent=True)


ABSENT: Any = object()


def _lay_over(record: Record, change: Record, *, keep_absent: bool = False) -> None:
    for name, value in change.items():
        if value is ABSENT and not keep_absent:
            record.pop(name, None)
        elif isinstance(value, dict) and isinstance(record.get(name), dict):
            record[name] = dict(record[name])
            _lay_over(record[name], value, keep_absent=keep_absent)
        else:
            record[name] = value
