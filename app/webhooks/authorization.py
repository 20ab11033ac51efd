"""How a webhook proves itself to its receiver: by a secret as it stands, or by tokens that Seatwise fetches itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID
from weakref import WeakValueDictionary

import httpx

from app.core import clock
from app.core.errors import UnexpectedAnswer
from app.http.answers import Answer, Judge, VendorFault
from app.http.auth import ClientCredentials, StaticToken
from app.http.client import GuardedTransport
from app.http.ports import Token
from app.http.tokens import is_due, oauth_error, read_token
from app.sync.runtime import Runtime
from app.sync.stores import SharedTokens, TokenTable
from app.webhooks.target import Target

_HINT = "Check the webhook's client id and secret."
OF_WEBHOOKS = TokenTable("webhook_tokens", "webhook_id")

# However many attempts of a process want a new token, one of them asks PostgreSQL, on a connection of its own.
_renewing: WeakValueDictionary[tuple[int, UUID, str], asyncio.Lock] = WeakValueDictionary()


@dataclass(slots=True)
class Authorization:
    """Makes the header for one attempt.

    seen   every secret that has been used, so that none is shown should the receiver repeat it.
    """

    runtime: Runtime
    transport: GuardedTransport
    target: Target
    secrets: dict[str, str] = field(repr=False)
    seen: list[str] = field(default_factory=list, repr=False)
    _token: Token | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.seen += self.secrets.values()

    async def header(self) -> str | None:
        """The value of `Authorization`, None where the receiver asks for none.

        Raises VendorError where no token is given, or where no header can carry the secret.
        """
        kind = self.target.auth["type"]
        if kind == "bearer":
            return StaticToken("Bearer", self.secrets["secret"]).authorization()
        if kind != "oauth2_client_credentials":
            return None
        store = self._store()
        token = await store.current()
        if token is None or is_due(token, clock.now()):
            token = await store.renew(token, self._fetch)
        return self._bearer(token)

    async def renewed(self) -> str | None:
        """The header with another token than the refused one, None where there is no other. Raises VendorError."""
        if self._token is None:
            return None
        return self._bearer(await self._store().renew(self._token, self._fetch))

    def _bearer(self, token: Token) -> str:
        self._token = token
        self.seen.append(token.value)
        return f"Bearer {token.value}"

    def _store(self) -> SharedTokens:
        auth = self.target.auth
        audience = " ".join((auth["token_url"], auth["client_id"], auth.get("scope") or ""))
        database = self.runtime.database
        lock = _renewing.setdefault((id(database), self.target.id, audience), asyncio.Lock())
        return SharedTokens(database, self.runtime.vault, self.target.id, audience, OF_WEBHOOKS, lock)

    async def _fetch(self) -> Token:
        auth = self.target.auth
        oauth = ClientCredentials(
            auth["token_url"], auth["client_id"], self.secrets["client_secret"], scope=auth.get("scope")
        )
        asked_at, form = clock.now(), oauth.token_request()
        url = httpx.URL(form.url)
        response = await self.transport.post(url, dict(form.headers), form.content)
        answer = Answer(response.status_code, response.headers, response.content, form.url)
        judge = Judge(f"POST {url.path}", _read_error, list(oauth.secrets), _HINT)
        if problem := judge.token(answer, clock.now()):
            raise problem.error
        try:
            return read_token(answer.content, asked_at)
        except UnexpectedAnswer as error:
            error.vendor_status = answer.status
            raise


def _read_error(_status: int, _headers: httpx.Headers, content: bytes) -> VendorFault:
    return VendorFault(*oauth_error(content))
