"""How a credential proves itself to a vendor: the token requests of OAuth 2.0, or a token that simply is.

Authlib builds the client authentication and the assertions; nothing here sends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlencode

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from app.core.errors import CredentialRefused
from app.http.ports import Token
from app.http.tokens import TokenRequest

Method = Literal["client_secret_post", "client_secret_basic"]

ASSERTION_LIFE_S = 300
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class TokenAuth(Protocol):
    """A credential that is exchanged for tokens."""

    @property
    def token_url(self) -> str: ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, should the vendor repeat it."""
        ...

    @property
    def hint(self) -> str:
        """What to look at when the vendor does not know the client."""
        ...

    def token_request(self) -> TokenRequest:
        """The POST that asks for a token, made anew for each try. Raises CredentialRefused for an unusable secret."""
        ...


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token made in the vendor's console: `Authorization: <header_prefix> <value>` (Okta: SSWS)."""

    header_prefix: str
    value: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.value,)

    def authorization(self) -> str:
        """The header's value. Raises CredentialRefused for a token that no header can carry."""
        value = self.value.strip()
        if not value or not value.isascii() or not value.isprintable():
            raise CredentialRefused("The token has characters that no token has. Copy it again.")
        return f"{self.header_prefix} {value}"


Auth = StaticToken | TokenAuth


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749 section 4.4).

    encoding  of the body; `json` for vendors that read no forms.
    """

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    method: Method = "client_secret_post"
    scope: str | None = None
    encoding: Literal["form", "json"] = "form"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.client_secret,)

    @property
    def hint(self) -> str:
        other = "client_secret_basic" if self.method == "client_secret_post" else "client_secret_post"
        return (
            f"Check the client id and secret, and that the client lives in this tenant; the secret was sent by "
            f"{self.method}: if the vendor's console shows {other} for this client, choose that one."
        )

    def token_request(self) -> TokenRequest:
        fields = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        if self.encoding == "json":
            if self.method == "client_secret_post":
                fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
            body, kind = json.dumps(fields), _JSON
        else:
            body, kind = urlencode(fields), _FORM
        headers = {"Content-Type": kind, "Accept": _JSON}
        if self.encoding == "form" or self.method == "client_secret_basic":
            headers, body = self._authenticated(headers, body)
        return TokenRequest(self.token_url, headers, body.encode())

    def _authenticated(self, headers: dict[str, str], body: str) -> tuple[dict[str, str], str]:
        try:
            client = ClientAuth(self.client_id, self.client_secret, self.method)
            _, headers, body = client.prepare("POST", self.token_url, headers, body)
        except UnicodeEncodeError:
            detail = "The client id or secret has characters that client_secret_basic cannot send. Copy them again."
            raise CredentialRefused(detail) from None
        return headers, body


@dataclass(frozen=True, slots=True)
class PrivateKeyJwt:
    """Client credentials proved by a signed assertion (RFC 7523): RS256 for RSA keys, ES256 and its kin for EC keys.

    private_key  PEM or JWK, as text; a JWK's own `kid` is used where `key_id` is None.
    """

    token_url: str
    client_id: str
    private_key: str = field(repr=False)
    key_id: str | None = None
    scope: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.private_key,)

    @property
    def hint(self) -> str:
        return "Check the client id, and that the public half of this key is registered with the client."

    def token_request(self) -> TokenRequest:
        key, algorithm, key_id = _signing_key(self.private_key)
        key_id = self.key_id or key_id
        assertion = private_key_jwt_sign(
            key,
            client_id=self.client_id,
            token_endpoint=self.token_url,
            alg=algorithm,
            header={"kid": key_id} if key_id else {},
            expires_in=ASSERTION_LIFE_S,
        )
        fields = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        } | ({"scope": self.scope} if self.scope else {})
        return TokenRequest(self.token_url, {"Content-Type": _FORM, "Accept": _JSON}, urlencode(fields).encode())


def private_key_problem(text: str) -> str | None:
    """What is wrong with a private key as it was typed, None where it can sign. Never shows any of it."""
    try:
        _signing_key(text)
    except CredentialRefused as refused:
        return refused.detail
    return None


def _signing_key(text: str) -> tuple[RSAKey | ECKey, str, str | None]:
    """The key, its algorithm and its own id. Raises CredentialRefused for what is no private RSA or EC key."""
    # A key that went through an environment variable often has its line ends as backslash and n.
    text = text.strip().replace("\\n", "\n") if "BEGIN" in text else text.strip()
    for kind in (RSAKey, ECKey):
        try:
            key = kind.import_key(json.loads(text) if text.startswith("{") else text)
            if not key.is_private:
                raise CredentialRefused("This is a public key. Give the private one, as PEM or JWK.")
            algorithm = "RS256" if isinstance(key, RSAKey) else _CURVES[key.curve_name]
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        return key, algorithm, key.kid
    raise CredentialRefused(
        "The private key cannot be read. Give an RSA or EC key without a password, as PEM "
        "(-----BEGIN PRIVATE KEY-----) or as JWK ({...})."
    )


class MemoryTokenStore:
    """One credential's token in one process: all who wait share one renewal."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> Token | None:
        return self._token

    async def renew(self, used: Token | None, fetch: Callable[[], Awaitable[Token]]) -> Token:
        async with self._lock:
            kept = self._token
            if kept is None or (used is not None and kept.value == used.value):
                self._token = kept = await fetch()
            return kept
