"""From a bearer to the one who calls."""

from __future__ import annotations

from dataclasses import dataclass

from app.access.keys import principal_of_id, principal_of_key
from app.access.oidc import Issuer
from app.access.principal import Principal
from app.access.tokens import Tokens
from app.core.database import Database
from app.core.errors import NotAuthenticated

_NOBODY = "Send a valid API key or access token: Authorization: Bearer <key>."


def bearer_of(authorization: str | None) -> str:
    """What an Authorization header bears; empty where it is none of its scheme."""
    scheme, _, bearer = (authorization or "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else ""


def is_token(bearer: str) -> bool:
    """Whether it looks like a token, as no API key does."""
    return bearer.startswith("eyJ")


@dataclass(frozen=True, slots=True)
class Authentication:
    """Knows API keys, the access tokens minted for them, and the tokens of the identity provider."""

    database: Database
    tokens: Tokens
    issuer: Issuer

    async def authenticate(self, authorization: str | None) -> Principal:
        """Whom an Authorization header stands for.

        Raises NotAuthenticated, which never repeats it; of the identity provider's tokens what Issuer.read raises.
        """
        bearer = bearer_of(authorization)
        if not bearer:
            raise NotAuthenticated(_NOBODY)
        principal = await self._of_token(bearer) or await principal_of_key(self.database, bearer)
        if principal is None:
            raise NotAuthenticated("This key or token is unknown, expired or revoked.")
        return principal

    async def _of_token(self, bearer: str) -> Principal | None:
        """Whom a token stands for. An API key does not look like one, so it costs nothing here."""
        if not is_token(bearer):
            return None
        if self.issuer.issued(bearer):
            return await self.issuer.read(bearer)
        key_id = await self.tokens.read(bearer)
        return None if key_id is None else await principal_of_id(self.database, key_id)
