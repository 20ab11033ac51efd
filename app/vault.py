"""Secrets at rest: authenticated encryption with a ring of keys, newest first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.errors import SeatwiseError

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1"
_KEY_TEXT = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_BAD_KEYS = (
    "SEATWISE_ENCRYPTION_KEYS must be one or more keys, comma-separated, newest first, each 32 bytes in base64url."
)


class VaultError(SeatwiseError):
    """A sealed text cannot be opened; the message never shows what is in it."""


def generate_key() -> str:
    """A new random key as SEATWISE_ENCRYPTION_KEYS takes it."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


class Vault:
    """Seals with the newest key and opens with any key of the ring (AES-256-GCM).

    A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`; the key id is the first 8 hex digits of the
    key's SHA-256. The context (`credentials/<id>/secrets`) is bound in: a text moved to another row does not open.
    """

    __slots__ = ("_ring",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(_BAD_KEYS)
        self._ring = tuple((hashlib.sha256(key).hexdigest()[:8], AESGCM(key)) for key in keys)

    @classmethod
    def from_keys(cls, text: str) -> Vault:
        """Raises ValueError, which names the variable and never its value."""
        return cls([_key(part.strip()) for part in text.split(",")])

    def seal(self, plain: bytes, *, context: str) -> str:
        key_id, cipher = self._ring[0]
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, plain, _bound(context))
        return f"{_VERSION}.{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, *, context: str) -> bytes:
        """Raises VaultError for a text that was damaged, belongs elsewhere, or whose key is gone."""
        key_id, body = _parts(sealed)
        ciphers = [cipher for known, cipher in self._ring if known == key_id]
        if not ciphers:
            raise VaultError(
                f"A secret was sealed with key {key_id}, which SEATWISE_ENCRYPTION_KEYS does not have. Add that key."
            )
        for cipher in ciphers:
            try:
                return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _bound(context))
            except InvalidTag:
                continue
        raise VaultError("A sealed secret was damaged or belongs to another record. Enter the secret again.")

    def needs_reseal(self, sealed: str) -> bool:
        """Whether a text was sealed with an older key than the newest."""
        return _parts(sealed)[0] != self._ring[0][0]

    def __repr__(self) -> str:
        return "<Vault>"


def _bound(context: str) -> bytes:
    return f"{_VERSION}/{context}".encode()


def _key(text: str) -> bytes:
    try:
        if not _KEY_TEXT.fullmatch(text):
            raise ValueError(_BAD_KEYS)
        return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except binascii.Error:
        raise ValueError(_BAD_KEYS) from None


def _parts(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        body = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        body = b""
    if version != _VERSION or not re.fullmatch(r"[0-9a-f]{8}", key_id) or len(body) <= _NONCE_BYTES:
        raise VaultError("A sealed secret is not in the form that this service writes. Enter the secret again.")
    return key_id, body
