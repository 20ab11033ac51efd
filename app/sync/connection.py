"""From a credential and options to a connector that can be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.connectors import registry
from app.connectors.contract import Connector
from app.core.errors import InvalidInput, InvalidOptions
from app.http.auth import MemoryTokenStore
from app.http.client import build_client
from app.http.ports import TokenStore
from app.http.vendor import Event, VendorClient
from app.models import Credential
from app.sync.runtime import Runtime
from app.sync.secrets import open_secrets
from app.sync.stores import SharedBudget, SharedTokens

# So many hex digits tell clients apart.
_SHORT = 16


@dataclass(frozen=True, slots=True)
class Connection:
    """connector to be asked; client counts what that costs."""

    connector: Connector
    client: VendorClient


@asynccontextmanager
async def connect(
    runtime: Runtime,
    credential: Credential,
    options: Mapping[str, Any],
    on_event: Callable[[Event], None] | None = None,
    *,
    apart: bool = False,
) -> AsyncIterator[Connection]:
    """A connection that is closed at the end of the block.

    options   the instance's; they win over the credential's own.
    apart     with tokens of its own, so that the secrets themselves are tried and nobody else's token is touched.
    Raises InvalidOptions where the options or local secrets do not do, before anything is sent.
    """
    settings = runtime.settings
    merged = {**credential.options, **options}
    manifest = registry.manifest(credential.connector)
    problems = [*manifest.missing_options(merged), *manifest.option_errors(merged)]
    if problems:
        raise InvalidOptions(" ".join(problem.detail for problem in problems))
    try:
        secrets = open_secrets(runtime.vault, credential, settings.secrets_dir)
    except InvalidInput as error:
        raise InvalidOptions(error.errors[0].detail) from error
    client_id = secrets.get("client_id")
    known_by = None if client_id is None else _digest(client_id)[:_SHORT]
    tenant = registry.vendor_tenant(credential.connector, merged, client_id=known_by)
    auth = registry.token_flow(credential.connector, credential.scheme, secrets, merged)
    audience = registry.token_audience(credential.connector, credential.scheme, secrets, merged)
    async with build_client(allow=settings.outbound_allow, timeout_s=settings.vendor_timeout_s) as http:
        client = VendorClient(
            http,
            auth,
            MemoryTokenStore() if apart else _token_store(runtime, credential, audience),
            SharedBudget(runtime.database, tenant, settings.rate_headroom_percent),
            errors=registry.error_reader(credential.connector),
            quotas=manifest.quotas,
            retry_for_s=settings.vendor_retry_s,
            on_event=on_event,
        )
        yield Connection(registry.connect(credential.connector, merged, client, client_id=client_id), client)


def _token_store(runtime: Runtime, credential: Credential, audience: str) -> TokenStore:
    """Tokens are shared through the database, but for local credentials, of which it keeps no secret at all."""
    if credential.storage == "local":
        return MemoryTokenStore()
    return SharedTokens(runtime.database, runtime.vault, credential.id, _digest(audience))


def _digest(name: str) -> str:
    """SHA-256 in hex, for what has a client id in it: that stands with the secrets, so the database has it sealed."""
    return sha256(name.encode()).hexdigest()
