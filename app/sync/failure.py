"""What a failed sync says, and what follows for its instance."""

from __future__ import annotations

from typing import Any, Literal

from app.connectors.contract import StreamName
from app.core.errors import CredentialRefused, InsufficientPermissions, VendorError

InactiveReason = Literal["token_revoked", "insufficient_permissions"]


def describe(error: VendorError, stream: StreamName | None) -> dict[str, Any]:
    """The sync's `failure`."""
    return {
        "code": error.code,
        "detail": in_plain_words(error),
        "retryable": error.retryable,
        "stream": stream,
        "request": error.request,
        "vendor_status": error.vendor_status,
        "vendor_code": error.vendor_code,
    }


def in_plain_words(error: VendorError) -> str:
    """What happened as an administrator would say it, then the vendor's own words."""
    if isinstance(error, CredentialRefused):
        return f"The vendor no longer accepts the credential: revoked, expired or inactive. {error.detail}"
    if isinstance(error, InsufficientPermissions):
        return f"The credential lacks a permission that the sync needs. {error.detail}"
    return error.detail


def internal(stream: StreamName | None) -> dict[str, Any]:
    """The failure of a fault of our own; its particulars stand in the log, under the sync's id."""
    detail = "The service met a fault of its own; its log says which. The data read so far is kept."
    return describe(VendorError(detail), stream)


def inactivates(error: VendorError) -> InactiveReason | None:
    """Why the instance becomes inactive; None for everything that may pass."""
    if isinstance(error, CredentialRefused):
        return "token_revoked"
    if isinstance(error, InsufficientPermissions):
        return "insufficient_permissions"
    return None
