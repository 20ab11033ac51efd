"""Tokens of the customer's identity provider: JWTs of frontends, verified with the issuer's published keys.

OpenID Connect Discovery 1.0 tells where the keys are; they are fetched through the guarded client, kept, and fetched
anew when they are old or a token names one that is not among them. Such fetches are few, whatever is sent: a token is
anybody's to make.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from app.access.principal import OIDC_ROLES, ROLES, Principal, Role
from app.core.errors import NotAllowed, NotAuthenticated, OutboundRefused, Unavailable, VendorError
from app.core.mail_addresses import is_address
from app.core.settings import Settings
from app.http.client import build_client
from app.http.tokens import read_claims, read_header

log = structlog.get_logger()

# Signatures by a key pair only: with a shared secret, or none, anybody who knows the public key could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
TYPES = {"jwt", "at+jwt", "application/at+jwt"}
"""RFC 9068, and what stands in tokens that came before it; a log-out token is none of them."""
LEEWAY_S = 60
FRESH_S = 600.0
FETCHES = 5
REFILL_S = 30.0
TIMEOUT_S = 10.0
MAX_BYTES = 1024 * 1024

# What the issuer's answer may lead to where it is none, or not what it should be.
_UNUSABLE = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OutboundRefused,
    VendorError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
)

# Header parameters that are not understood are passed over, those in `crit` refused (RFC 7515, section 4).
_REGISTRY = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST_NAME = 200
Key = RSAKey | ECKey | OKPKey
_KINDS: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(slots=True)
class Fetches:
    """How often the issuer may still be asked: FETCHES at once, then one each REFILL_S seconds."""

    clock: Callable[[], float] = time.monotonic
    _left: float = FETCHES
    _at: float | None = None

    def take(self) -> bool:
        now = self.clock()
        if self._at is not None:
            self._left = min(FETCHES, self._left + (now - self._at) / REFILL_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Issuer:
    """One issuer's keys and what its tokens have to say. It is first asked when a token comes, not at start."""

    settings: Settings
    clock: Callable[[], float] = time.monotonic
    fetches: Fetches = field(default_factory=Fetches)
    _keys: dict[str, Key] = field(default_factory=dict, repr=False)
    _fetched_at: float | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def name(self) -> str:
        return self.settings.oidc_issuer or ""

    def issued(self, token: str) -> bool:
        """Whether a token says that it is of this issuer; it may lie."""
        return bool(self.name) and read_claims(token).get("iss") == self.name

    async def read(self, token: str) -> Principal:
        """Whom a token stands for.

        Raises NotAuthenticated for a token that is not valid, NotAllowed for one without a role, Unavailable while the
        issuer's keys cannot be had.
        """
        key = await self._key(str(read_header(token).get("kid") or ""))
        if key is None:
            raise NotAuthenticated("This token is signed with a key that its issuer does not publish.")
        try:
            decoded = jwt.decode(token, key, registry=_REGISTRY)
            if str(decoded.header.get("typ", "JWT")).lower() not in TYPES:
                raise ValueError("a token of another kind")
            claims = decoded.claims
            self._rules().validate(claims)
        except (JoseError, ValueError, TypeError, KeyError):
            raise NotAuthenticated("This token is not valid here: altered, expired, or for another audience.") from None
        return self._principal(claims)

    async def reach(self) -> bool:
        """Whether the issuer's keys can be had."""
        await self._fetch()
        return self._fetched_at is not None

    def _rules(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.name},
            aud={"essential": True, "value": self.settings.oidc_audience or ""},
            sub={"essential": True},
            exp={"essential": True},
        )

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        role = role_in(claims, self.settings.oidc_role_claim)
        if role is None:
            raise NotAllowed(
                f"The token names no role: its claim {self.settings.oidc_role_claim} has to be one of "
                f"{', '.join(OIDC_ROLES)}."
            )
        subject, email = str(claims["sub"]), claims.get("email")
        email = email if is_address(email) else None
        known_by = (_name(claims.get(claim)) for claim in ("name", "preferred_username"))
        name = next((name for name in known_by if name), None) or email or _name(subject)
        return Principal("oidc", uuid5(NAMESPACE_URL, f"{self.name}#{subject}"), name, email, role)

    async def _key(self, kid: str) -> Key | None:
        """The key of this id; of an issuer that names none, its only one."""
        # Who knows the key does not wait for a fetch that another has begun.
        if (known := self._find(kid)) and (self._is_fresh() or self._turn.locked()):
            return known
        async with self._turn:
            if self._is_fresh() and (known := self._find(kid)):
                return known
            if self.fetches.take():
                await self._fetch()
        if self._fetched_at is None:
            raise Unavailable("The keys of the identity provider cannot be fetched now.")
        return self._find(kid)

    def _is_fresh(self) -> bool:
        return self._fetched_at is not None and self.clock() - self._fetched_at < FRESH_S

    def _find(self, kid: str) -> Key | None:
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        """Take the issuer's keys in the place of those that are kept, which stay where it does not answer."""
        try:
            async with build_client(
                allow=self.settings.outbound_allow, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES
            ) as client:
                found = await _json(client, f"{self.name.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self.name:
                    raise ValueError("the discovery document is another issuer's")
                keys = await _json(client, str(found["jwks_uri"]))
            self._keys = readable(keys.get("keys", ()))
            self._fetched_at = self.clock()
        except _UNUSABLE as error:
            log.warning("oidc.keys_not_fetched", issuer=self.name, error=type(error).__name__)


def _name(claim: Any) -> str:
    """A claim as a name of one line that rows can hold; empty where it is none."""
    return _CONTROL.sub(" ", claim).strip()[:_LONGEST_NAME] if isinstance(claim, str) else ""


def role_in(claims: Mapping[str, Any], claim: str) -> Role | None:
    """The highest role that a claim names, as a text or a list; None for none. A dot leads into a nested claim."""
    found: Any = claims.get(claim)
    if found is None and "." in claim:
        found = claims
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    roles = [role for role in OIDC_ROLES if role in named]
    return max(roles, key=ROLES.index, default=None)


def readable(keys: Sequence[Any]) -> dict[str, Key]:
    """Public keys for signatures, by their id; what is of another kind is passed over."""
    found: dict[str, Key] = {}
    for each in keys:
        kind = _KINDS.get(each.get("kty", "")) if isinstance(each, dict) else None
        if kind is None or each.get("use", "sig") != "sig":
            continue
        try:
            found[str(each.get("kid", ""))] = kind.import_key(each)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await client.get(url, headers={"Accept": "application/json"})
    if answer.status_code != httpx.codes.OK:
        raise ValueError(f"status {answer.status_code}")
    content = answer.json()
    if not isinstance(content, dict):
        raise TypeError("no JSON object")
    return content
