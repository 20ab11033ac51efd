"""Access tokens for clients that expect OAuth 2.0: client credentials with an API key's id and the key itself."""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote_plus
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.access.authentication import Authentication
from app.access.keys import principal_of_key
from app.access.principal import Principal
from app.access.tokens import LIFE_S

router = APIRouter(tags=["OAuth"])
FAILURES, WINDOW_S = 20, 60
MAX_FORM_BYTES = 64 * 1024
_KNOWN = ("grant_type", "client_id", "client_secret")
_KEPT_CLIENTS = 10_000
_KEPT_LENGTH = 100
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenAnswer(BaseModel):
    """RFC 6749 section 5.1."""

    access_token: str = Field(examples=["eyJ…"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the name of a type
    expires_in: int = Field(description="Seconds.", examples=[LIFE_S])


class OAuthError(BaseModel):
    """RFC 6749 section 5.2."""

    error: Literal["invalid_request", "invalid_client", "unsupported_grant_type", "temporarily_unavailable"]
    error_description: str = Field(examples=["The client id or secret is wrong."])


@dataclass(slots=True)
class Failures:
    """Refused attempts of each client id within the last minute, in this process."""

    _times: dict[str, deque[float]] = field(default_factory=dict)

    def wait_s(self, client_id: str) -> int:
        """Seconds to wait before the next attempt is looked at; 0 for now."""
        times = self._recent(client_id)
        if len(times) < FAILURES:
            return 0
        return max(1, math.ceil(times[-FAILURES] + WINDOW_S - time.monotonic()))

    def note(self, client_id: str) -> None:
        client_id = client_id[:_KEPT_LENGTH]
        if len(self._times) >= _KEPT_CLIENTS and client_id not in self._times:
            self._times.pop(next(iter(self._times)))
        self._times.setdefault(client_id, deque(maxlen=FAILURES)).append(time.monotonic())

    def _recent(self, client_id: str) -> deque[float]:
        times = self._times.get(client_id[:_KEPT_LENGTH], deque())
        while times and times[0] <= time.monotonic() - WINDOW_S:
            times.popleft()
        return times


_FORM = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "properties": {
                    "grant_type": {"type": "string", "enum": ["client_credentials"]},
                    "client_id": {
                        "type": "string",
                        "maxLength": 200,
                        "description": "Id of an API key, where Basic is not used.",
                    },
                    "client_secret": {"type": "string", "maxLength": 2000, "description": "The key itself."},
                },
                "required": ["grant_type"],
            },
            "example": {
                "grant_type": "client_credentials",
                "client_id": "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77",
                "client_secret": "sw_…",
            },
        }
    },
}


@router.post(
    "/oauth/token",
    operation_id="mint_token",
    response_model=TokenAnswer,
    responses={
        400: {"model": OAuthError, "description": "The request is none of RFC 6749."},
        401: {"model": OAuthError, "description": "The client is unknown or its secret wrong."},
        429: {"model": OAuthError, "description": "Too many refused attempts; wait as `Retry-After` says."},
    },
    openapi_extra={"requestBody": _FORM},
)
async def mint_token(request: Request) -> JSONResponse:
    """A one-hour access token (RFC 6749 section 4.4). Unknown parameters are ignored."""
    body = await request.body()
    if len(body) > MAX_FORM_BYTES:
        return _refusal(400, "invalid_request", f"The form may have {MAX_FORM_BYTES} bytes at most.")
    form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    if any(len(form.get(name, ())) > 1 for name in _KNOWN):
        return _refusal(400, "invalid_request", "A parameter was sent more than once.")
    sent = {name: values[0] for name, values in form.items()}
    if sent.get("grant_type") != "client_credentials":
        known = "grant_type" in sent
        error = "unsupported_grant_type" if known else "invalid_request"
        return _refusal(400, error, "Send grant_type=client_credentials as a form (application/x-www-form-urlencoded).")
    client_id, secret = _client(request, sent)
    if _uses_basic(request) and ("client_secret" in sent or sent.get("client_id", client_id) != client_id):
        return _refusal(400, "invalid_request", "Send the client's id and secret once: by Basic or in the form.")
    return await _answer_client(request, client_id, secret)


async def _answer_client(request: Request, client_id: str, secret: str) -> JSONResponse:
    failures: Failures = request.app.state.token_failures
    principal = await _principal(request, client_id, secret)
    if principal is None or principal.id is None:
        wait_s = failures.wait_s(client_id)
        if wait_s:
            detail = "This client was refused too often."
            return _refusal(429, "temporarily_unavailable", detail, {"Retry-After": str(wait_s)})
        failures.note(client_id)
        headers = {"WWW-Authenticate": 'Basic realm="seatwise"'}
        return _refusal(401, "invalid_client", "The client id or secret is wrong.", headers)
    authentication: Authentication = request.app.state.authentication
    token = TokenAnswer(access_token=await authentication.tokens.mint(principal.id), expires_in=LIFE_S)
    return JSONResponse(token.model_dump(), headers=_NO_STORE)


def _uses_basic(request: Request) -> bool:
    return request.headers.get("authorization", "").partition(" ")[0].lower() == "basic"


def _client(request: Request, sent: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, from Basic where it is sent, else from the form; empty where they are missing."""
    if not _uses_basic(request):
        return sent.get("client_id", ""), sent.get("client_secret", "")
    _, _, encoded = request.headers["authorization"].partition(" ")
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


async def _principal(request: Request, client_id: str, secret: str) -> Principal | None:
    try:
        wanted = UUID(client_id)
    except ValueError:
        return None
    authentication: Authentication = request.app.state.authentication
    found = await principal_of_key(authentication.database, secret)
    return found if found is not None and found.id == wanted else None


def _refusal(status: int, error: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"error": error, "error_description": detail}
    return JSONResponse(body, status, headers={**_NO_STORE, **(headers or {})})
