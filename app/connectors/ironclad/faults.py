"""Clickwrap's errors: `{"error": {"name", "message", "status", "code"}}`; the name serves as the code.

Source: clickwrap-developer.ironcladapp.com/reference/rate-limits
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from app.connectors.reading import UNREADABLE, text, within
from app.http.vendor import VendorFault


def read_fault(_status: int, _headers: httpx.Headers, body: bytes) -> VendorFault:
    """Name and message of the error; also those of an OAuth error, whose `error` is a text."""
    try:
        fault: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return VendorFault(None, None, None)
    error = within(fault, "error")
    if isinstance(error, str):
        return VendorFault(error, text(within(fault, "error_description")), None)
    return VendorFault(text(within(error, "name")) or text(within(error, "code")), text(within(error, "message")), None)
