"""A connector described as data: the form it asks for, what it needs to be granted, the fields it gives.

The same description answers `GET /v1/connectors/{key}`, checks options and secrets, and names the fields that a
mapping may use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.connectors.contract import StreamName
from app.core.errors import FieldError
from app.http.masking import repeated
from app.http.ports import Quota

FieldType = Literal["text", "boolean", "number", "datetime"]
Target = Literal["email", "username", "name", "given_name", "family_name", "role"]


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a connection. `pattern` must match the whole value; `hint` says what to type instead.

    validate  for what a pattern can't say: gives what to type instead, or None where the value is fine; asked first.
    """

    name: str
    title: str
    description: str
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    hint: str = ""
    type: Literal["string", "boolean"] = "string"
    default: str | bool | None = None
    format: Literal["uri"] | None = None
    validate: Callable[[str], str | None] | None = None

    def as_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": self.type, "title": self.title, "description": self.description}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        if self.default is not None:
            schema["default"] = self.default
        if self.format:
            schema["format"] = self.format
        return schema


@dataclass(frozen=True, slots=True)
class Secret:
    name: str
    title: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to authenticate, and the secrets it takes."""

    scheme: str
    title: str
    secrets: tuple[Secret, ...]

    def as_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {s.name: {"type": "string", "title": s.title, "writeOnly": True} for s in self.secrets},
            "required": [s.name for s in self.secrets if s.required],
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class SourceField:
    """One field that the vendor gives of a user."""

    name: str
    title: str
    description: str
    type: FieldType = "text"
    filterable: bool = False


@dataclass(frozen=True, slots=True)
class Permission:
    """What the vendor must grant, in its own words, why, and which grants of lesser reach do as well."""

    name: str
    reason: str
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MappingRow:
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that is known of a connector without calling its vendor.

    activity_days  how many days of events the vendor keeps; 0 where it tells of no use at all.
    quotas         documented limits by bucket, for vendors whose answers tell none.
    """

    key: str
    name: str
    vendor: str
    category: Literal["sso", "saas", "directory"]
    schemes: tuple[Scheme, ...]
    options: tuple[Option, ...]
    streams: tuple[StreamName, ...]
    fields: tuple[SourceField, ...]
    permissions: tuple[Permission, ...]
    setup: tuple[str, ...]
    default_mapping: tuple[MappingRow, ...]
    activity_days: int = 0
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()

    def scheme(self, key: str) -> Scheme | None:
        return next((s for s in self.schemes if s.scheme == key), None)

    def options_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {o.name: o.as_schema() for o in self.options},
            "required": [o.name for o in self.options if o.required],
            "additionalProperties": False,
        }

    def option_errors(self, options: Mapping[str, Any], *, at: str = "#/options") -> list[FieldError]:
        """What is wrong with the values given; a missing required option is no error here (see missing_options)."""
        known = {o.name: o for o in self.options}
        errors = []
        for name, value in options.items():
            option = known.get(name)
            if option is None:
                names = ", ".join(known)
                errors.append(
                    FieldError(f"{self.name} has no option {repeated(name)}; it has {names}.", pointer=f"{at}/{name}")
                )
            elif problem := _problem(option, value):
                errors.append(FieldError(problem, pointer=f"{at}/{name}"))
        return errors

    def missing_options(self, options: Mapping[str, Any], *, at: str = "#/options") -> list[FieldError]:
        return [
            FieldError(f"{o.title} is needed: {o.description}", pointer=f"{at}/{o.name}")
            for o in self.options
            if o.required and options.get(o.name) in (None, "")
        ]


def _problem(option: Option, value: Any) -> str | None:
    """What to type instead of a value, None where it is fine."""
    if option.type == "boolean":
        return None if isinstance(value, bool) else f"{option.title} is true or false."
    if not isinstance(value, str) or not value:
        return f"{option.title} is a text. {option.hint}".strip()
    if option.choices and value not in option.choices:
        right = next((c for c in option.choices if c == value.strip().lower()), None)
        if right:
            return f"Type {right!r} in lower case instead of {repeated(value)}."
        known = ", ".join(option.choices)
        return f"{option.title} is one of {known}; {repeated(value)} is none of them. {option.hint}".strip()
    if option.validate is not None and (problem := option.validate(value)):
        return problem
    if option.pattern and not re.fullmatch(option.pattern, value):
        return f"{repeated(value)} is no {option.title}. {option.hint}".strip()
    return None
