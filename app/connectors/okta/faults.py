"""Okta's errors: `{"errorCode", "errorSummary", "errorCauses": [{"errorSummary"}]}`.

Source: developer.okta.com/docs/reference/error-codes/
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from app.connectors.reading import UNREADABLE, text, within
from app.core.errors import CursorRefused, InsufficientPermissions, VendorError
from app.http.vendor import VendorFault

# A 401 that speaks of a feature the organization lacks, not of a bad token; and the two words for a stale `after`.
KINDS: dict[tuple[int, str], type[VendorError]] = {
    (401, "E0000015"): InsufficientPermissions,
    (400, "E0000029"): CursorRefused,
    (400, "E0000031"): CursorRefused,
}


def read_fault(status: int, _headers: httpx.Headers, body: bytes) -> VendorFault:
    """Okta's own code and summary, the first cause beside it."""
    try:
        fault: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return VendorFault(None, None, None)
    code = text(within(fault, "errorCode")) or text(within(fault, "error"))
    causes = within(fault, "errorCauses")
    cause = causes[0] if isinstance(causes, list) and causes else None
    summary = text(within(fault, "errorSummary")) or text(within(fault, "error_description"))
    said = [summary, text(within(cause, "errorSummary"))]
    return VendorFault(code, " ".join(part for part in said if part) or None, KINDS.get((status, code or "")))
