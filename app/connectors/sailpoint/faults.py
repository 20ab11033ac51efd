"""ISC's errors: `{"detailCode", "trackingId", "messages": [{"text"}]}`; a refused token is `{"error"}`, the limit of
requests `{"message"}`.

Source: developer.sailpoint.com/docs/api/standard-collection-parameters, …/docs/api/rate-limit
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from app.connectors.reading import UNREADABLE, text, within
from app.http.vendor import VendorFault


def read_fault(_status: int, _headers: httpx.Headers, body: bytes) -> VendorFault:
    """A single word under `error` is a code (`invalid_client`), a sentence is a message."""
    try:
        fault: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return VendorFault()
    error, words = text(within(fault, "error")), text(within(fault, "error_description"))
    code = text(within(fault, "detailCode"))
    if error is not None and " " in error:
        words = words or error
    elif error is not None:
        code = code or error
    words = _texts(within(fault, "messages")) or words or text(within(fault, "message"))
    return VendorFault(code, words, reference=text(within(fault, "trackingId")))


def _texts(messages: object) -> str | None:
    """The messages in one language: the first one's, where several came."""
    listed = [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    locale = listed[0].get("locale") if listed else None
    return " ".join(filter(None, (text(each.get("text")) for each in listed if each.get("locale") == locale))) or None
