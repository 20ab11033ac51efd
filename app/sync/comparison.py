"""Whether new secrets may take the place of the old: the same tenant, and no permission lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.contract import Check
from app.core.errors import FieldError, InvalidInput

_AT = "#/secrets"
_STAY = "The old secrets stay."
_PASSING = frozenset({"vendor_unavailable", "vendor_busy", "unexpected_answer"})


def refusal_of(found: Check, proved: Mapping[str, Any] | None) -> InvalidInput | None:
    """Why the new secrets cannot be taken; None where they can.

    found    what the new ones reveal.
    proved   tenant and granted permissions of the old ones; None where they were never proved and no longer work.
    """
    if found.code in _PASSING:
        return _refusal([found.detail], f"The new secrets could not be tried; try again later. {found.detail} {_STAY}")
    if not found.ok:
        return _refusal([found.detail], f"The new secrets do not work: {found.detail} {_STAY}")
    if proved is None:
        return None
    before, after = proved.get("tenant"), found.tenant
    if before is not None and after != before:
        detail = f"They belong to {after or 'no known tenant'}, the old ones to {before}."
        return _refusal([detail], f"The new secrets are of another tenant. {detail} {_STAY}")
    lost = [permission for permission in proved.get("granted", ()) if permission not in found.granted]
    if lost:
        details = [f"This permission would be lost: {permission}." for permission in lost]
        return _refusal(details, f"The new secrets may less than the old ones, without {', '.join(lost)}. {_STAY}")
    return None


def _refusal(details: list[str], detail: str) -> InvalidInput:
    return InvalidInput([FieldError(each, pointer=_AT) for each in details], detail)
