"""The public keys of what the service signs, for whoever verifies it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.api.deps import Runtime
from app.api.resources import answer
from app.api.unit_of_work import Route
from app.certifications.evidence import published_keys

router = APIRouter(tags=["Certifications"], route_class=Route)

KEPT_S = 300


class KeySet(BaseModel):
    """A JWK set (RFC 7517), retired keys included."""

    keys: list[dict[str, Any]] = Field(
        examples=[[{"kty": "EC", "crv": "P-256", "x": "…", "y": "…", "kid": "…", "use": "sig", "alg": "ES256"}]]
    )


@router.get("/.well-known/jwks.json", operation_id="get_jwks", response_model=KeySet)
async def get_jwks(request: Request, runtime: Runtime) -> Response:
    """The keys that verify signed evidence, newest first. Needs no key."""
    response = answer(request, await published_keys(runtime))
    response.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
    return response
