"""What a token endpoint said, read once for every way of asking, and the token's life."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from app.core.errors import CredentialRefused, InsufficientPermissions, InvalidOptions, UnexpectedAnswer, VendorError
from app.http.ports import Token

RENEW_BEFORE_S = 60.0
RENEW_AT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST that is ready to be sent; headers and content carry secrets and are never shown."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


def is_due(token: Token, now: datetime) -> bool:
    """Whether to renew: at the later of 60 s before its end and nine tenths of its life, so that a token of 2 s still
    serves many calls. One without a told life is never due.
    """
    if token.expires_at is None:
        return False
    life = (token.expires_at - token.issued_at).total_seconds()
    return now >= token.issued_at + timedelta(seconds=max(life - RENEW_BEFORE_S, life * RENEW_AT_SHARE))


def read_token(content: bytes, issued_at: datetime) -> Token:
    """The token of a 200 answer. `expires_in` may be absent, a number or a text.

    Raises UnexpectedAnswer where there is no `access_token`.
    """
    fields = _object(content)
    value = fields.get("access_token")
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise UnexpectedAnswer("The token endpoint answered without a usable access_token.")
    seconds = _seconds(fields.get("expires_in"))
    return Token(value, issued_at, None if seconds is None else issued_at + timedelta(seconds=seconds))


def read_claims(value: str) -> dict[str, Any]:
    """The claims of a token that is a JWT, unverified; empty for one that is not."""
    return _part(value, 1)


def read_header(value: str) -> dict[str, Any]:
    """The header of a token that is a JWT, unverified; empty for one that is not."""
    return _part(value, 0)


def _part(value: str, number: int) -> dict[str, Any]:
    parts = value.split(".")
    if len(parts) != 3:
        return {}
    try:
        return _object(urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4)))
    except ValueError:
        return {}


def _seconds(value: Any) -> float | None:
    """A life above 0 s, None for what is no such number; longer than a year is a year."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return min(seconds, 366 * 86400.0) if seconds > 0 else None


def oauth_error(content: bytes) -> tuple[str | None, str | None]:
    """The code and the words of a refusal: OAuth's `error`, or what a vendor's own shape has in its place."""
    fields = _object(content)
    nested = fields.get("error")
    inner = nested if isinstance(nested, dict) else {}
    code = _text(nested, fields.get("code"), fields.get("errorCode"), inner.get("code"), inner.get("name"))
    words = _text(
        fields.get("error_description"), fields.get("message"), fields.get("errorSummary"), inner.get("message")
    )
    return code, words


def refusal(status: int, code: str | None, words: str | None, *, hint: str) -> VendorError:
    """What a definite refusal by a token endpoint means.

    words  the vendor's own, already free of secrets.
    hint   what else to look at upon `invalid_client`.
    """
    said = f" The vendor says: {words}" if words else ""
    if status == 404:
        return InvalidOptions(f"The token endpoint does not exist: the options name a tenant it does not know.{said}")
    if code == "invalid_scope":
        return InsufficientPermissions(f"The client was not granted the scopes it needs.{said}")
    if status not in {400, 401, 403}:
        return UnexpectedAnswer(f"The token endpoint answered with status {status}.{said}")
    more = {
        "invalid_client": f" {hint}",
        "invalid_dpop_proof": " Switch off the requirement of proof of possession (DPoP) for the client.",
    }
    detail = f"The vendor refused the credential ({code or f'status {status}'}).{more.get(code or '', '')}{said}"
    return CredentialRefused(detail)


def _object(content: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _text(*values: Any) -> str | None:
    found = next((value for value in values if isinstance(value, str | int) and value not in {"", True, False}), None)
    return None if found is None else str(found)
