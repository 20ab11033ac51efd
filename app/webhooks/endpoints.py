"""Endpoints: where messages go, with which secrets, and how those are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.core.clock import now
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.settings import Network
from app.core.transaction import connection_of
from app.http.egress import check_url
from app.http.tokens import read_claims
from app.models import Report, Webhook, WebhookToken
from app.sync.runtime import Runtime
from app.vault import Vault, VaultError
from app.webhooks.disabling import fail_pending
from app.webhooks.signing import new_secret
from app.webhooks.waking import wake

# What each kind of `auth` needs and may have; what of it is secret.
_NEEDED: dict[str, tuple[str, ...]] = {
    "none": (),
    "bearer": ("secret",),
    "oauth2_client_credentials": ("token_url", "client_id", "client_secret"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {"oauth2_client_credentials": ("scope",)}
_SECRETS: dict[str, tuple[str, ...]] = {"bearer": ("secret",), "oauth2_client_credentials": ("client_secret",)}
_SETTINGS = ("name", "url", "events", "format", "max_message_bytes", "delivery", "link_ttl_seconds", "max_concurrency")


class SigningSecret(msgspec.Struct, frozen=True):
    """One signing secret of an endpoint. until: when a rotated one no longer signs; null for the newest."""

    secret: str
    until: datetime | None


async def create(
    session: AsyncSession, runtime: Runtime, *, by: Principal, auth: Mapping[str, Any], **settings: Any
) -> tuple[Webhook, str]:
    """Keep a new endpoint; answers it with its signing secret, which is shown this once.

    auth      `type` and the members that it needs.
    settings  `name`, `url`, `events`, `format`, `max_message_bytes`, `delivery`, `link_ttl_seconds`,
              `max_concurrency`.
    Raises InvalidInput, which names each thing that cannot be used.
    """
    errors = [*_url_errors(settings, runtime), *_event_errors(settings), *_auth_errors(auth, runtime)]
    _refuse(errors)
    at, signing = now(), new_secret()
    webhook = Webhook(
        id=new_id(),
        **settings,
        status="enabled",
        disabled_reason=None,
        failing_since=None,
        created_by=by.as_creator(),
        created_at=at,
        updated_at=at,
    )
    _keep_auth(runtime.vault, webhook, auth)
    webhook.sealed_signing = seal_signing(runtime.vault, webhook.id, [SigningSecret(signing, None)])
    session.add(webhook)
    await session.flush()
    return webhook, signing


async def get(session: AsyncSession, webhook_id: UUID, *, lock: bool = False) -> Webhook:
    """One endpoint; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    webhook = await session.get(Webhook, webhook_id, with_for_update=lock)
    if webhook is None:
        raise NotFound("There is no webhook with this id.")
    return webhook


async def change(session: AsyncSession, runtime: Runtime, webhook: Webhook, sent: Mapping[str, Any]) -> None:
    """Apply a merge patch. `auth` is merged while its type stays, so that a secret not sent is kept; with another type
    it is replaced whole. Disabling lets the pending deliveries fail; enabling begins anew. Raises InvalidInput.
    """
    errors = [*_url_errors(sent, runtime), *_event_errors(sent)]
    auth = None
    if "auth" in sent:
        auth = _merged_auth(runtime.vault, webhook, sent["auth"])
        errors += _auth_errors(auth, runtime)
    _refuse(errors)
    if auth is not None:
        _keep_auth(runtime.vault, webhook, auth)
    if auth is not None or sent.get("url", webhook.url) != webhook.url:
        await session.execute(delete_from(WebhookToken).where(WebhookToken.webhook_id == webhook.id))
    for member in _SETTINGS:
        if member in sent:
            setattr(webhook, member, sent[member])
    if sent.get("status", webhook.status) != webhook.status:
        await _turn(session, webhook, sent["status"])
    webhook.updated_at = now()
    await session.flush()


async def rotate(session: AsyncSession, vault: Vault, webhook: Webhook, overlap: timedelta) -> str:
    """Sign with a new secret from now on; answers it. Those before it sign too until the overlap ends, none of them
    longer than it would have. Raises Conflict where those cannot be opened.
    """
    at = now()
    end, secret = at + overlap, new_secret()
    try:
        before = _valid(_open_signing(vault, webhook.id, webhook.sealed_signing), at) if overlap else []
    except VaultError as error:
        raise Conflict(f"{error.detail} Or rotate with overlap_seconds 0, and give the receiver the new one.") from None
    kept = [SigningSecret(secret, None), *(SigningSecret(old.secret, min(old.until or end, end)) for old in before)]
    webhook.sealed_signing = seal_signing(vault, webhook.id, kept)
    webhook.updated_at = at
    await session.flush()
    return secret


async def delete(session: AsyncSession, webhook: Webhook) -> None:
    """Delete an endpoint with its deliveries. Raises Conflict with the member `reports` while any goes there."""
    output = [{"type": "webhook", "webhook_id": str(webhook.id)}]
    used = select(Report.id, Report.name).where(Report.outputs.contains(output)).order_by(Report.name)
    reports = [{"id": str(row.id), "name": row.name} for row in (await session.execute(used)).all()]
    if reports:
        names = ", ".join(report["name"] for report in reports)
        raise Conflict(f"It is an output of {names}. Take it out of their outputs first.", reports=reports)
    await session.delete(webhook)
    await session.flush()


def secret_names(auth: Mapping[str, Any]) -> list[str]:
    """Names of the secrets that an endpoint with this `auth` has."""
    return list(_SECRETS.get(auth["type"], ()))


def token_end(token: str) -> datetime | None:
    """When a token ends that is a JWT; None where it is none, or does not say. Nothing is verified."""
    try:
        return datetime.fromtimestamp(float(read_claims(token)["exp"]), UTC)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def open_secrets(vault: Vault, webhook_id: UUID, sealed: str) -> dict[str, str]:
    """The secrets of an endpoint's `auth`: `secret`, or `client_secret`, or none. Raises VaultError."""
    return msgspec.json.decode(vault.open(sealed, context=_secrets_context(webhook_id)), type=dict[str, str])


def seal_secrets(vault: Vault, webhook_id: UUID, secrets: Mapping[str, str]) -> str:
    return vault.seal(msgspec.json.encode(secrets), context=_secrets_context(webhook_id))


def signing_secrets(vault: Vault, webhook_id: UUID, sealed_signing: str, at: datetime) -> list[str]:
    """The signing secrets (`whsec_…`) that are valid at a time, newest first. Raises VaultError."""
    return [kept.secret for kept in _valid(_open_signing(vault, webhook_id, sealed_signing), at)]


def seal_signing(vault: Vault, webhook_id: UUID, kept: Sequence[SigningSecret]) -> str:
    return vault.seal(msgspec.json.encode(kept), context=_signing_context(webhook_id))


def _open_signing(vault: Vault, webhook_id: UUID, sealed_signing: str) -> list[SigningSecret]:
    plain = vault.open(sealed_signing, context=_signing_context(webhook_id))
    return msgspec.json.decode(plain, type=list[SigningSecret])


def _valid(kept: Sequence[SigningSecret], at: datetime) -> list[SigningSecret]:
    return [one for one in kept if one.until is None or one.until > at]


def _secrets_context(webhook_id: UUID) -> str:
    return f"webhooks/{webhook_id}/secrets"


def _signing_context(webhook_id: UUID) -> str:
    return f"webhooks/{webhook_id}/signing"


async def _turn(session: AsyncSession, webhook: Webhook, status: str) -> None:
    webhook.status = status
    webhook.failing_since = None
    webhook.disabled_reason = "user" if status == "disabled" else None
    if status == "enabled":
        await wake(session)
    else:
        await fail_pending(await connection_of(session))


def _keep_auth(vault: Vault, webhook: Webhook, auth: Mapping[str, Any]) -> None:
    secret = secret_names(auth)
    public = (*_NEEDED[auth["type"]], *_OPTIONAL.get(auth["type"], ()))
    webhook.auth = {"type": auth["type"]} | {name: auth.get(name) for name in public if name not in secret}
    webhook.sealed = seal_secrets(vault, webhook.id, {name: auth[name] for name in secret})
    webhook.token_expires_at = token_end(auth["secret"]) if auth["type"] == "bearer" else None


def _merged_auth(vault: Vault, webhook: Webhook, sent: Mapping[str, Any]) -> dict[str, Any]:
    if sent.get("type", webhook.auth["type"]) != webhook.auth["type"]:
        return dict(sent)
    try:
        kept = open_secrets(vault, webhook.id, webhook.sealed)
    except VaultError:
        kept = {}  # sealed with a key that is gone: they have to be given again
    return {**webhook.auth, **kept, **sent}


def _url_errors(sent: Mapping[str, Any], runtime: Runtime) -> list[FieldError]:
    return _checked_url(sent["url"], "#/url", runtime.settings.outbound_allow) if "url" in sent else []


def _checked_url(url: str, pointer: str, allow: Sequence[Network]) -> list[FieldError]:
    try:
        check_url(url, allow, pointer=pointer)
    except InvalidInput as error:
        return list(error.errors)
    return []


def _event_errors(sent: Mapping[str, Any]) -> list[FieldError]:
    events = sent.get("events", [])
    return [
        FieldError("This is listed already.", pointer=f"#/events/{place}")
        for place, event in enumerate(events)
        if event in events[:place]
    ]


def _auth_errors(auth: Mapping[str, Any], runtime: Runtime) -> list[FieldError]:
    """What `auth` lacks, and what it has that its type does not take. A member that is null is absent."""
    kind = auth.get("type")
    if kind not in _NEEDED:
        return [FieldError(f"This is one of {', '.join(_NEEDED)}.", pointer="#/auth/type")]
    known = {"type", *_NEEDED[kind], *_OPTIONAL.get(kind, ())}
    given = {name for name, value in auth.items() if value is not None}
    errors = [FieldError("This is needed.", pointer=f"#/auth/{name}") for name in _NEEDED[kind] if name not in given]
    errors += [FieldError(f"{kind} does not take this.", pointer=f"#/auth/{name}") for name in sorted(given - known)]
    if kind == "oauth2_client_credentials" and "token_url" in given:
        errors += _checked_url(auth["token_url"], "#/auth/token_url", runtime.settings.outbound_allow)
    return errors


def _refuse(errors: Sequence[FieldError]) -> None:
    if errors:
        raise InvalidInput(errors)
