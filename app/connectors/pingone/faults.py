"""PingOne's errors: `{"id", "code", "message", "details": [{"code", "message", "target"}]}`."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from app.connectors.reading import UNREADABLE, text, within
from app.http.vendor import VendorFault


def read_fault(_status: int, _headers: httpx.Headers, body: bytes) -> VendorFault:
    """Code and message as PingOne words them, the first detail beside the message."""
    try:
        fault: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return VendorFault(None, None, None)
    details = within(fault, "details")
    detail = details[0] if isinstance(details, list) and details else None
    said = [text(within(fault, "message")), text(within(detail, "message"))]
    code = text(within(fault, "code")) or text(within(detail, "code")) or text(within(fault, "error"))
    return VendorFault(code, " ".join(part for part in said if part) or None, None)
