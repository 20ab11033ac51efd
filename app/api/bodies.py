"""Reading a JSON body strictly, so that what passes can be stored and means one thing: no NaN, no NUL, no half
characters, no member twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NoReturn

from fastapi import Request

from app.core.errors import FieldError, InvalidInput

MAX_DEPTH = 60
MOST_TOLD = 20
"""So many faults of one body are told, and no more."""
LONGEST_STEP = 100
MOST_INTEGER = 2**63 - 1
JSON_TYPES = frozenset({"application/json"})
PATCH_TYPES = JSON_TYPES | {"application/merge-patch+json"}


class StrictRequest(Request):
    """A request whose body is JSON of RFC 8259 in UTF-8."""

    async def json(self) -> Any:
        """The body's value, read once. Raises InvalidInput where it is no JSON or cannot be stored."""
        if "strict_json" not in self.scope:
            self.scope["strict_json"] = _parsed(await self.body())
        return self.scope["strict_json"]


def _parsed(body: bytes) -> Any:
    try:
        value = json.loads(body.decode(), parse_constant=_refuse, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise InvalidInput.at("#", "The body is not JSON: it is not UTF-8.") from error
    except RecursionError as error:
        raise InvalidInput.at("#", "The body is nested too deeply.") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput.at("#", f"The body is not JSON: {error.msg} at {place}.") from error
    except ValueError as error:
        raise InvalidInput.at("#", "The body is not JSON: a number in it is too large or none.") from error
    refuse_unstorable(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises InvalidInput for a member that stands twice, of which each reader would take another one."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise InvalidInput.at("#", "A member stands twice in one object of the body.")
    return members


def _refuse(_constant: str) -> NoReturn:
    raise ValueError


def refuse_unstorable(value: Any) -> None:
    """Raises InvalidInput at the first MOST_TOLD texts or numbers that PostgreSQL cannot hold, and where nesting is too
    deep.
    """
    errors = list(islice(_faults(value, []), MOST_TOLD))
    if errors:
        raise InvalidInput(errors)


def _faults(value: Any, path: list[str | int]) -> Iterator[FieldError]:
    """What cannot be stored in a value and below. A place is spelled out only where something is wrong."""
    if not isinstance(value, (dict, list)):
        if detail := _problem(value):
            yield FieldError(detail, pointer=pointer_to(path))
        return
    if len(path) >= MAX_DEPTH:
        yield FieldError(f"This is nested more than {MAX_DEPTH} levels deep.", pointer=pointer_to(path))
        return
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and (detail := _text_problem(key)):
            yield FieldError(f"A name here cannot be stored: {detail}", pointer=pointer_to(path))
        if isinstance(member, (dict, list)) or _problem(member):
            path.append(key)
            yield from _faults(member, path)
            path.pop()


def _problem(item: object) -> str | None:
    if isinstance(item, str):
        return _text_problem(item)
    if isinstance(item, float) and not math.isfinite(item):
        return "This number is too large."
    if isinstance(item, int) and not -MOST_INTEGER <= item <= MOST_INTEGER:
        return "This number is too large."
    return None


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return "A text must not contain the character NUL."
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "A text must not contain half of a surrogate pair."
    return None


def pointer_to(path: Iterable[str | int]) -> str:
    """A place in the body as a JSON pointer (RFC 6901): always writable itself, and short whatever was sent."""
    return "#" + "".join(f"/{_escaped(step)}" for step in path)


def _escaped(step: str | int) -> str:
    plain = str(step)[:LONGEST_STEP].encode("utf-8", "replace").decode().replace("\0", "?")
    return plain.replace("~", "~0").replace("/", "~1")


def refuse_unstorable_parameters(request: Request) -> None:
    """Raises InvalidInput where a query or path parameter contains NUL."""
    pairs = [*request.query_params.multi_items(), *request.path_params.items()]
    errors = [
        FieldError("A parameter must not contain the character NUL.", parameter=name.replace("\0", "?"))
        for name, value in pairs
        if "\0" in f"{name}{value}"
    ]
    if errors:
        raise InvalidInput(errors)
