"""What the tests of outbound calls share: a listener nobody may reach, names that lead inside, ways to get there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import Api

OAUTH = "oauth2_client_credentials"
CLIENT = {"client_id": "5b0f7d1e", "client_secret": "not-so-secret"}
PINGONE = {"region": "eu", "environment_id": "6f1c0d4e-0000-4000-8000-000000000001"}
OKTA = {"sso_url": "https://acme.okta.com"}

# The answers of a resolver to a name, one after another: inside at once, beside a public address, only at the second
# look, or in disguise.
NAMES: dict[str, list[list[str]]] = {
    "private.example.com": [["10.0.0.9"]],
    "loopback.example.com": [["127.0.0.1"]],
    "loopback6.example.com": [["::1"]],
    "mixed.example.com": [["8.8.8.8", "127.0.0.1"]],
    "mixed-first.example.com": [["127.0.0.1", "8.8.8.8"]],
    "rebinding.example.com": [["8.8.8.8"], ["127.0.0.1"]],
    "metadata.example.com": [["169.254.169.254"]],
    "mapped.example.com": [["::ffff:127.0.0.1"]],
    "nat64.example.com": [["64:ff9b::7f00:1"]],
    "tunnel.example.com": [["2002:7f00:1::"]],
    "scoped.example.com": [["fe80::1%lo"]],
    "unspecified.example.com": [["0.0.0.0"]],  # noqa: S104 - nothing is bound
    "shared.example.com": [["100.64.0.1"]],
}


@dataclass
class Listener:
    """Counts who connects to this machine."""

    port: int = 0
    heard: int = 0

    async def hear(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += 1
        writer.close()


@lru_cache(maxsize=1)
def private_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@dataclass(frozen=True)
class Way:
    """How a connector comes to call an address: the option that names it, beside what else it needs."""

    connector: str
    option: str
    scheme: str
    secrets: Callable[[], dict[str, str]]
    options: dict[str, str]

    async def credential(self, api: Api, base: str = "https://vendor.example.com") -> str:
        """The path of a new credential."""
        body = {
            "name": str(uuid4()),
            "connector": self.connector,
            "scheme": self.scheme,
            "secrets": self.secrets(),
            "options": {**self.options, self.option: base},
        }
        answer = await api.post("/v1/credentials", json=body)
        assert answer.status_code == 201, answer.text
        return f"/v1/credentials/{answer.json()['id']}"


def _token() -> dict[str, str]:
    return {"api_token": "00abc"}


def _client() -> dict[str, str]:
    return dict(CLIENT)


def _key() -> dict[str, str]:
    return {"client_id": "0oa1", "private_key": private_key()}


WAYS = {
    "okta, organization": Way("okta", "sso_url", "api_token", _token, {}),
    "okta, API": Way("okta", "api_url", "api_token", _token, OKTA),
    "okta, token": Way("okta", "auth_url", "oauth2_private_key_jwt", _key, OKTA),
    "pingone, token": Way("pingone", "auth_url", OAUTH, _client, PINGONE),
    "ironclad, token": Way("ironclad-clickwrap", "auth_url", OAUTH, _client, {}),
    "sailpoint": Way("sailpoint-isc", "api_url", OAUTH, _client, {}),
}


async def made_webhook(api: Api, url: str, token_url: str | None = None) -> str:
    """The path of a new webhook, with client credentials where a token URL is given."""
    auth: dict[str, Any] = {"type": OAUTH, "token_url": token_url, **CLIENT} if token_url else {"type": "none"}
    answer = await api.post("/v1/webhooks", json={"name": str(uuid4()), "url": url, "auth": auth})
    assert answer.status_code == 201, answer.text
    return f"/v1/webhooks/{answer.json()['id']}"
