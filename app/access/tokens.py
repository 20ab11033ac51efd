"""One-hour access tokens for clients that expect OAuth 2.0: signed JWTs that stand for an API key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from app.access.signing_keys import SigningKeys
from app.core.clock import now
from app.core.database import Database
from app.vault import Vault

LIFE_S = 3600
_PURPOSE = "access_token"
_ISSUER = "seatwise"
_CLAIMS = jwt.JWTClaimsRegistry(
    leeway=0, iss={"essential": True, "value": _ISSUER}, sub={"essential": True}, exp={"essential": True}
)


@dataclass(slots=True)
class Tokens:
    """Mints and reads access tokens. Remembers the signing key, which never changes once it is made."""

    database: Database
    vault: Vault
    _key: OctKey | None = field(default=None, repr=False)

    async def mint(self, key_id: UUID) -> str:
        """A token for the API key with this id, good for LIFE_S seconds, or until that key ends."""
        issued = int(now().timestamp())
        claims = {
            "iss": _ISSUER,
            "sub": str(key_id),
            "iat": issued,
            "exp": issued + LIFE_S,
        }
        return jwt.encode({"alg": "HS256", "typ": "at+jwt"}, claims, await self._signing_key(), algorithms=["HS256"])

    async def read(self, token: str) -> UUID | None:
        """The id of the API key that a token stands for; None where it is not ours, altered or past its hour."""
        try:
            claims = jwt.decode(token, await self._signing_key(), algorithms=["HS256"]).claims
            # Without the time of issue: another replica's clock may be ahead of ours.
            _CLAIMS.validate({name: value for name, value in claims.items() if name != "iat"})
            return UUID(claims["sub"])
        except (JoseError, ValueError, TypeError):
            return None

    async def _signing_key(self) -> OctKey:
        if self._key is None:
            keys = SigningKeys(self.database, self.vault, _PURPOSE, lambda: secrets.token_bytes(32))
            self._key = OctKey.import_key(await keys.newest())
        return self._key
