"""What a report can ask for: the columns of each dataset, with their types and the operators that filters may use.

Beside the fixed ones there are `fields.<key>` for each custom field, `metadata.<key>` for whatever the vendors give,
and `days_active`, `covered_days` and `usage` with a window of their own: `days_active:90d`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from app.activity.days import WINDOW_PATTERN
from app.activity.keyset import Fetch
from app.connectors import registry
from app.connectors.manifest import FieldType
from app.sync.filters import COMPARISONS, OPS, TEXT_OPS

Dataset = Literal["accounts", "people", "applications"]
Type = Literal["text", "integer", "number", "decimal", "boolean", "date", "datetime"]
"""`decimal` is money and comes as a text that keeps its digits, `number` whatever a vendor or a custom field has."""

DATASETS: tuple[Dataset, ...] = get_args(Dataset)
WINDOWED = ("days_active", "covered_days", "usage")
LISTED_WINDOWS = (7, 30, 60, 90, 365)

_KINDS: dict[Type, FieldType] = {
    "text": "text",
    "integer": "number",
    "number": "number",
    "decimal": "number",
    "boolean": "boolean",
    "date": "datetime",
    "datetime": "datetime",
}
_TYPES: dict[FieldType, Type] = {"text": "text", "number": "number", "boolean": "boolean", "datetime": "datetime"}
_CUSTOM_TYPES: dict[str, Type] = {
    "text": "text",
    "choice": "text",
    "number": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
}
_WINDOW = re.compile(WINDOW_PATTERN)
_METADATA = re.compile(r"metadata\.[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    kind     what the operands of its filters are, in the words of app/sync/filters; None: whatever they look like.
    choices  all the values that it has, where they are few and known.
    """

    key: str
    title: str
    type: Type
    kind: FieldType | None
    choices: tuple[str, ...] = ()

    @property
    def operators(self) -> tuple[str, ...]:
        return operators(self.kind)


def operators(kind: FieldType | None) -> tuple[str, ...]:
    if kind is None:
        return OPS
    without = {"text": (), "boolean": (*TEXT_OPS, *COMPARISONS)}.get(kind, TEXT_OPS)
    return tuple(op for op in OPS if op not in without)


def _column(key: str, title: str, of: Type = "text", *choices: str) -> Column:
    return Column(key, title, of, _KINDS[of], choices)


_USAGE = ("used", "unused", "unknown")
_STATUS = ("active", "inactive")
_USE = (
    _column("last_active_at", "Last active", "datetime"),
    _column("days_active", "Days active", "integer"),
    _column("covered_days", "Days observed", "integer"),
    _column("usage", "Usage", "text", *_USAGE),
    _column("covered_until", "Observed until", "datetime"),
)
_DATED = (_column("created_at", "Created", "datetime"), _column("updated_at", "Changed", "datetime"))
_FIXED: dict[Dataset, tuple[Column, ...]] = {
    "accounts": (
        _column("name", "Name"),
        _column("email", "E-mail"),
        _column("username", "Username"),
        _column("application", "Application"),
        _column("instance", "Instance"),
        _column("role", "Role"),
        _column("seat", "Seat", "text", "assigned", "entitled", "unknown", "none"),
        _column("status", "Status", "text", *_STATUS),
        _column("vendor_status", "Vendor's status"),
        _column("owner", "Owner"),
        _column("uploaded_by", "Uploaded by"),
        *_USE,
        _column("assigned_at", "Assigned", "datetime"),
        _column("first_seen_at", "First seen", "datetime"),
        _column("last_seen_at", "Last seen", "datetime"),
        _column("deactivated_at", "Deactivated", "datetime"),
        _column("vendor_id", "Vendor's id"),
        _column("bypasses_sso", "Bypasses sign-on", "text", "possible"),
        _column("isc_source_id", "ISC source"),
        _column("isc_native_identity", "ISC native identity"),
        _column("account_id", "Account id"),
        _column("person_id", "Person id"),
        _column("application_id", "Application id"),
        _column("instance_id", "Instance id"),
        _column("sync_id", "Sync of the last change"),
        *_DATED,
    ),
    "people": (
        _column("name", "Name"),
        _column("email", "E-mail"),
        _column("username", "Username"),
        _column("given_name", "Given name"),
        _column("family_name", "Family name"),
        _column("status", "Status", "text", *_STATUS),
        _column("role", "Role"),
        _column("owner", "Owner"),
        _column("uploaded_by", "Uploaded by"),
        _column("restrict_access", "Access restricted", "boolean"),
        _column("accounts", "Accounts", "integer"),
        _column("applications", "Applications", "integer"),
        *_USE,
        _column("person_id", "Person id"),
        *_DATED,
    ),
    "applications": (
        _column("name", "Name"),
        _column("vendor", "Vendor"),
        _column("category", "Category"),
        _column("owner", "Owner"),
        _column("uploaded_by", "Uploaded by"),
        _column("instance", "Instance"),
        _column("kind", "Kind", "text", "integrated", "detected"),
        _column("status", "Status", "text", *_STATUS),
        _column("access", "Access", "text", "assigned", "groups", "open", "admins"),
        _column("accounts", "Seats assigned", "integer"),
        _column("used", "Used", "integer"),
        _column("unused", "Unused", "integer"),
        _column("unknown", "Unknown", "integer"),
        _column("covered_days", "Days observed", "integer"),
        _column("covered_until", "Observed until", "datetime"),
        _column("seats_bought", "Seats bought", "integer"),
        _column("cost_of_unused", "Cost of the unused", "decimal"),
        _column("total_cost", "Total cost", "decimal"),
        _column("currency", "Currency"),
        _column("per", "Cost per", "text", "month", "year"),
        _column("vendor_id", "Vendor's id"),
        _column("application_id", "Application id"),
        _column("instance_id", "Instance id"),
        _column("catalog_id", "Catalogue id"),
        *_DATED,
    ),
}
_KIND_OF_FIELDS: dict[Dataset, str] = {"accounts": "account", "people": "person"}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The columns of one dataset, by key, as far as they can be listed; `find` knows the open ones too."""

    dataset: Dataset
    listed: Mapping[str, Column]

    def find(self, key: str) -> Column | None:
        """The column with this key; None where there is none."""
        if key in self.listed:
            return self.listed[key]
        base, days = split_window(key)
        if days is not None and base in WINDOWED and self.dataset != "applications":
            return _with_window(self.listed[base], days)
        if self.dataset == "accounts" and _METADATA.fullmatch(key):
            return Column(key, key.removeprefix("metadata."), "text", None)
        return None


async def catalogue_of(fetch: Fetch, dataset: Dataset) -> Catalogue:
    """What can be asked of a dataset now, with the custom fields there are."""
    columns = list(_FIXED[dataset])
    if dataset in _KIND_OF_FIELDS:
        rows = await fetch("SELECT key, title, type FROM fields WHERE kind = $1 ORDER BY key", _KIND_OF_FIELDS[dataset])
        columns += [_column(f"fields.{row['key']}", row["title"], _CUSTOM_TYPES[row["type"]]) for row in rows]
        use = {column.key: column for column in _USE}
        columns += [_with_window(use[base], days) for base in WINDOWED for days in LISTED_WINDOWS]
    if dataset == "accounts":
        columns += _of_vendors()
    return Catalogue(dataset, {column.key: column for column in columns})


def split_window(key: str) -> tuple[str, int | None]:
    """`days_active:30d` as its column and its days; None where it names no window, or none there is."""
    base, _, word = key.partition(":")
    match = _WINDOW.fullmatch(word)
    return (base, int(match[1])) if match else (key, None)


def resolved(keys: Sequence[str]) -> list[str]:
    """The columns that rows carry: `covered_days` follows each `days_active`, unless it is asked for itself."""
    found: list[str] = []
    for key in keys:
        found.append(key)
        beside = key.replace("days_active", "covered_days", 1)
        if key.partition(":")[0] == "days_active" and beside not in keys:
            found.append(beside)
    return found


def _with_window(column: Column, days: int) -> Column:
    return Column(f"{column.key}:{days}d", f"{column.title}, {days} days", column.type, column.kind, column.choices)


def _of_vendors() -> Iterable[Column]:
    """The fields that connectors know of accounts; where they disagree about a type it is text."""
    found: dict[str, tuple[str, FieldType]] = {}
    for manifest in registry.MANIFESTS.values():
        for field in manifest.fields:
            if field.filterable:
                title, kind = found.get(field.name, (field.title, field.type))
                found[field.name] = (title, kind if kind == field.type else "text")
    return [Column(f"metadata.{name}", title, _TYPES[kind], kind) for name, (title, kind) in sorted(found.items())]
