"""Signed evidence: an answer as a compact JWS, which an auditor verifies offline with the published keys.

ES256, one key at a time; the `kid` is the key's thumbprint (RFC 7638). Keys are never thrown away: what was signed
with a retired one is still verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey

from app.access.links import public_base
from app.access.signing_keys import SigningKeys
from app.core.clock import now
from app.sync.runtime import Runtime

ALGORITHM = "ES256"
_PURPOSE = "evidence"


async def sign(runtime: Runtime, answer: Mapping[str, Any]) -> str:
    """The answer with `issued_at` and `issuer` (where this service is reached), signed with the newest key."""
    issuer = await public_base(runtime.database, runtime.settings)
    payload = msgspec.json.encode({**answer, "issued_at": now(), "issuer": issuer})
    key = (await _keys(runtime))[0]
    header = {"alg": ALGORITHM, "kid": key.thumbprint(), "typ": "JOSE", "cty": "application/json"}
    return jws.serialize_compact(header, payload, key, algorithms=[ALGORITHM])


async def published_keys(runtime: Runtime) -> dict[str, Any]:
    """The public halves of all keys there ever were, newest first, as a JWK set (RFC 7517)."""
    return {
        "keys": [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
            for key in await _keys(runtime)
        ]
    }


async def renew_key(runtime: Runtime) -> str:
    """Sign with a new key from now on, in all processes. Answers its `kid`."""
    await _stored(runtime).renew()
    return (await _keys(runtime))[0].thumbprint()


async def _keys(runtime: Runtime) -> list[ECKey]:
    """Newest first; read anew each time, so that a renewed key is every process's at once."""
    return [ECKey.import_key(msgspec.json.decode(key)) for key in await _stored(runtime).all()]


def _stored(runtime: Runtime) -> SigningKeys:
    return SigningKeys(runtime.database, runtime.vault, _PURPOSE, _new_key)


def _new_key() -> bytes:
    return msgspec.json.encode(ECKey.generate_key("P-256", private=True).as_dict(private=True))
