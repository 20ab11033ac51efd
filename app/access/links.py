"""Links that hand out one file of one report run to whoever has them, until they expire.

The signature is an HMAC-SHA-256 over run, format and expiry with a key of the purpose `link`; older keys of it are
accepted too, so renewing the key ends no link.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlencode
from uuid import UUID

from app.access.signing_keys import SigningKeys
from app.core.clock import now
from app.core.database import Database
from app.core.settings import Settings
from app.vault import Vault

PATH = "/links/report-runs"
KEY_BYTES = 32
_LINK = re.compile(PATH.encode() + rb"/[0-9a-f-]{36}\?[^\s\"]*signature=([\w-]+)")
# Before any process has served: what `serve` listens on unless it is told otherwise.
_UNHEARD = "http://127.0.0.1:8000"
_ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104  compared with, not listened on


async def public_base(database: Database, settings: Settings) -> str:
    """How links begin; no slash at its end: SEATWISE_PUBLIC_URL, else where `serve` began to listen last."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    url: str | None = await database.pool.fetchval("SELECT url FROM listeners ORDER BY at DESC, url LIMIT 1")
    return url or _UNHEARD


async def remember_listener(database: Database, host: str, port: int) -> None:
    """Leave the address that this process listens on to all processes. One that listens on every address is
    reached as localhost.
    """
    name = "localhost" if host in _ANY_ADDRESS else f"[{host}]" if ":" in host else host
    await database.pool.execute(
        "INSERT INTO listeners (url) VALUES ($1) ON CONFLICT (url) DO UPDATE SET at = now()", f"http://{name}:{port}"
    )


@dataclass(slots=True)
class RunLinks:
    """Signs and checks links. Keep one for a process: it remembers the key that signs."""

    database: Database
    vault: Vault
    _keys: SigningKeys = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._keys = SigningKeys(self.database, self.vault, "link", lambda: secrets.token_bytes(KEY_BYTES))

    async def url(self, base: str, run_id: UUID, form: str, until: datetime) -> str:
        """The link to the run as a file of the format, good until then (whole seconds, rounded up).

        base   as `public_base` answers.
        """
        expires = str(math.ceil(until.astimezone(UTC).timestamp()))
        signature = _signature(await self._keys.newest(), run_id, form, expires)
        return f"{base}{PATH}/{run_id}?{urlencode({'format': form, 'expires': expires, 'signature': signature})}"

    async def is_good(self, run_id: UUID, form: str, expires: str, signature: str) -> bool:
        """Whether the service made this link and it has not expired."""
        if not (expires.isascii() and expires.isdecimal()) or now().timestamp() >= int(expires[:18]):
            return False
        if _is_same(_signature(await self._keys.newest(), run_id, form, expires), signature):
            return True
        older = await self._keys.all()
        return any(_is_same(_signature(key, run_id, form, expires), signature) for key in older)


def signatures_in(content: bytes) -> list[str]:
    """Signatures of the links in a message: whoever has one has the rows."""
    return [found.decode() for found in _LINK.findall(content)]


def _signature(key: bytes, run_id: UUID, form: str, expires: str) -> str:
    digest = hmac.digest(key, f"report-run\n{run_id}\n{form}\n{expires}".encode(), sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _is_same(expected: str, sent: str) -> bool:
    return hmac.compare_digest(expected.encode(), sent.encode())
