"""Signatures after the Standard Webhooks specification (standardwebhooks.com), symmetric scheme `v1`. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
_KEY_BYTES = 32


def new_secret() -> str:
    """A random signing secret in the form that receivers' libraries take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def signed_headers(message_id: str, at: datetime, body: bytes, signing: Sequence[str]) -> dict[str, str]:
    """The three headers of one attempt.

    at       time of the attempt; receivers refuse what is minutes old.
    signing  every secret (`whsec_…`) that is valid now, newest first; one signature for each.
    """
    timestamp = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_signature(secret, content)}" for secret in signing),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
