"""Where else a person may be named, table by table, and what becomes of it.

What administrators wrote stays: filters, owners and contacts of instances, names and recipients of reports, keys, and
the audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.erasure.runs import is_personal
from app.erasure.sweeps import Cleaner, Sweep
from app.erasure.traces import NAME, Eraser

_FIRST = UUID(int=0)
_ID = {"id": _FIRST}
_NUMBER = {"id": -1}
_LISTS = ("people", "accounts")
_IMAGES = ("before", "after")
_NAMES: dict[str, Any] = {"name": NAME, "email": None, "username": None}
_EMPTIED: dict[str, Any] = {"given_name": None, "family_name": None, "metadata": {}, "fields": {}, "person_fields": {}}


def _texts(*columns: str) -> Cleaner:
    """Columns of texts, plain or within JSON: what people read, or what vendors tell of others (their manager)."""

    def clean(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
        return {column: eraser.out_of_texts(row[column]) for column in columns}

    return clean


def _history(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
    """Of others; the person's own has been cleaned with the books."""
    return {image: _within(eraser, row[image]) for image in _IMAGES}


def _within(eraser: Eraser, image: dict[str, Any] | None) -> dict[str, Any] | None:
    if image is None:
        return None
    return {key: eraser.out_of_texts(value) if key in _EMPTIED else value for key, value in image.items()}


def _plan_change(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
    unborn = row["object_id"] is None and (eraser.is_name(row["email"]) or eraser.is_name(row["name"]))
    if not (eraser.is_mine(row["object_id"]) or unborn):
        return _history(eraser, row)
    images = {image: _without_names(row[image]) for image in _IMAGES}
    return {"name": NAME, "email": None, **images}


def _without_names(image: dict[str, Any] | None) -> dict[str, Any] | None:
    changed = _NAMES | _EMPTIED
    return None if image is None else {key: changed.get(key, value) for key, value in image.items()}


def _filters(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a report: what is compared with a name finds nobody by it any more, with or without it."""
    return {"filters": _unnamed(eraser, row["filters"])}


def _definition(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
    definition = row["definition"]
    return {"definition": {**definition, "filters": _unnamed(eraser, definition.get("filters") or [])}}


def _unnamed(eraser: Eraser, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**each, "value": eraser.out_of_texts(each["value"])} if is_personal(each["field"]) else each
        for each in filters
    ]


def _event(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of its lists that are the person, and what it says in words; the number of its entries stays."""
    data = dict(row["data"])
    for name in _LISTS:
        if isinstance(data.get(name), list):
            data[name] = [
                entry | _NAMES if eraser.is_mine(entry.get("person_id"), entry.get("account_id")) else entry
                for entry in data[name]
            ]
    for name in ("reason", "detail"):
        if isinstance(data.get(name), str):
            data[name] = eraser.out_of_text(data[name])
    return {"data": data}


def _source_account(eraser: Eraser, row: Mapping[str, Any]) -> dict[str, Any]:
    known = (row["native_identity"], row["name"], row["mail"])
    if not (eraser.is_mine(row["account_id"]) or any(eraser.is_name(each) for each in known)):
        return {}
    return {"native_identity": f"erased/{row['vendor_id']}", "name": None, "mail": None}


# What is told of others by the vendors, then what was told to programs and people.
SWEEPS = (
    Sweep("people", _ID, ("fields",), _texts("fields"), people=True),
    Sweep(
        "vendor_users",
        {"instance_id": _FIRST, "vendor_id": ""},
        ("metadata", "fields", "person_fields"),
        _texts("metadata", "fields", "person_fields"),
        people=True,
    ),
    Sweep(
        "accounts",
        _ID,
        ("metadata", "fields", "bypass_evidence"),
        _texts("metadata", "fields", "bypass_evidence"),
        people=True,
    ),
    Sweep("history", _NUMBER, _IMAGES, _history),
    Sweep(
        "plan_changes",
        {"plan_id": _FIRST, "number": -1},
        ("object_id", "name", "email", "before", "after"),
        _plan_change,
    ),
    Sweep(
        "isc_accounts",
        {"mapping_id": _FIRST, "vendor_id": ""},
        ("account_id", "native_identity", "name", "mail"),
        _source_account,
    ),
    Sweep("licence_exemptions", _ID, ("reason",), _texts("reason")),
    Sweep("events", _ID, ("data",), _event),
    Sweep("deliveries", _ID, ("attempts",), _texts("attempts")),
    Sweep("reports", _ID, ("filters",), _filters),
    Sweep("report_runs", _ID, ("definition",), _definition),
)

# What a sync that ran while the books forgot may still have written of it.
LAST_SWEEPS = (
    Sweep("sync_errors", _NUMBER, ("detail",), _texts("detail")),
    Sweep("syncs", _ID, ("failure",), _texts("failure")),
    Sweep("plans", _ID, ("failure",), _texts("failure")),
    Sweep("source_mappings", _ID, ("failure",), _texts("failure")),
    Sweep("instances", _ID, ("inactive_detail",), _texts("inactive_detail")),
    Sweep("notifications", _ID, ("subject", "text", "html"), _texts("subject", "text", "html")),
)
