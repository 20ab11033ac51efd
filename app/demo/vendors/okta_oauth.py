"""Okta's token endpoint for a service application: client credentials with private_key_jwt, and nothing else."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from app.demo.vendors.okta_tenant import OktaTenant
from app.demo.vendors.vendor import Refusal

CLIENT_ID = "0oademoservice4x5d7"
KEY_ID = "seatwise-demo-key"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
}


class ServiceClient:
    """A service application with one RSA key, made when it is first needed."""

    client_id = CLIENT_ID
    key_id = KEY_ID

    def __init__(self, tenant: OktaTenant) -> None:
        self._tenant = tenant
        self._used: set[str] = set()

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def private_key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def scopes_granted(self, form: Mapping[str, str], audiences: set[str], has_dpop: bool) -> frozenset[str]:
        """The scopes of the token that a request gets. Raises the endpoint's errors, in OAuth's shape."""
        if form.get("grant_type") != "client_credentials":
            raise _oauth_error(400, "unsupported_grant_type", "The grant type is not supported by this client.")
        if form.get("client_assertion_type") != _ASSERTION_TYPE or self._tenant.tokens.refuse_client:
            raise _oauth_error(401, "invalid_client", "Client authentication failed.")
        self._check_claims(self._claims(form.get("client_assertion", "")), audiences)
        if self._tenant.dpop and not has_dpop:
            raise _oauth_error(400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")
        scopes = frozenset(form.get("scope", "").split())
        if not scopes or not scopes <= self._tenant.scopes:
            raise _oauth_error(400, "invalid_scope", "One or more scopes are not granted to the client application.")
        return scopes

    def _claims(self, assertion: str) -> dict[str, Any]:
        """The claims of an assertion that this client has signed."""
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (msgspec.json.decode(_unbase64(part), type=dict[str, Any]) for part in signed.split("."))
            digest = _HASHES[header["alg"]]
            self.key.public_key().verify(_unbase64(signature), signed.encode(), padding.PKCS1v15(), digest)
        except (ValueError, KeyError, binascii.Error, msgspec.MsgspecError, InvalidSignature):
            raise _oauth_error(401, "invalid_client", "The client_assertion signature is invalid.") from None
        if header.get("kid", KEY_ID) != KEY_ID:
            raise _oauth_error(401, "invalid_client", "The client_assertion names a key that is not registered.")
        return claims

    def _check_claims(self, claims: dict[str, Any], audiences: set[str]) -> None:
        now = time.time()
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or not now < expires <= now + 3600 + 5:
            raise _oauth_error(401, "invalid_client", "The client_assertion has expired or ends over an hour ahead.")
        if claims.get("iss") != CLIENT_ID or claims.get("sub") != CLIENT_ID:
            raise _oauth_error(401, "invalid_client", "'iss' and 'sub' must both be the client id.")
        audience = claims.get("aud")
        if not audiences & set(audience if isinstance(audience, list) else [audience]):
            raise _oauth_error(401, "invalid_client", "The audience claim must be the token endpoint.")
        if (jti := claims.get("jti")) is not None:
            if jti in self._used:
                raise _oauth_error(401, "invalid_client", "The client_assertion has already been used.")
            self._used.add(jti)


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _oauth_error(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})
