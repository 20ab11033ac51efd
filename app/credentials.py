"""Credentials: what one must hold, how its secrets are kept, and what it reveals when tried."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import delete as delete_from
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.connectors import registry
from app.connectors.contract import Check
from app.connectors.manifest import Manifest, Scheme
from app.core.clock import now
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound, VendorError
from app.core.ids import new_id
from app.core.settings import Settings
from app.http.auth import private_key_problem
from app.http.masking import repeated
from app.models import Credential, Instance, SourceMapping, VendorToken
from app.sync.comparison import refusal_of
from app.sync.connection import connect
from app.sync.options import option_errors
from app.sync.proof import proof_of
from app.sync.runtime import Runtime
from app.sync.secrets import local_place_error, sealing_context

Storage = Literal["vault", "local"]
Secrets = Mapping[str, Any]
CHECK_RETRY_S = 10
CHECK_PATIENCE_S = 30


async def create(
    session: AsyncSession,
    runtime: Runtime,
    *,
    by: Principal,
    name: str,
    connector: str,
    scheme: str,
    storage: Storage,
    secrets: Secrets,
    options: Mapping[str, Any],
    owner: str | None,
    expires_at: datetime | None,
) -> Credential:
    """Keep a new credential. Raises InvalidInput, which names each thing that the connector cannot use."""
    described = registry.MANIFESTS.get(connector)
    if described is None:
        known = ", ".join(registry.MANIFESTS)
        raise InvalidInput.at("#/connector", f"There is no connector {repeated(connector)}; there are {known}.")
    asked = _scheme(described, scheme)
    _refuse(
        [
            *secret_errors(asked, storage, secrets, runtime.settings),
            *option_errors(described, options, runtime.settings.outbound_allow),
        ]
    )
    credential = Credential(
        id=new_id(),
        name=name,
        connector=connector,
        scheme=scheme,
        storage=storage,
        options=dict(options),
        owner=owner,
        expires_at=expires_at,
        proved=None,
        created_by=by.as_creator(),
        created_at=now(),
        updated_at=now(),
    )
    _keep_secrets(runtime, credential, secrets)
    session.add(credential)
    await session.flush()
    return credential


async def get(session: AsyncSession, credential_id: UUID, *, lock: bool = False) -> Credential:
    """One credential; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    credential = await session.get(Credential, credential_id, with_for_update=lock)
    if credential is None:
        raise NotFound("There is no credential with this id.")
    return credential


async def change(session: AsyncSession, runtime: Runtime, credential: Credential, sent: Mapping[str, Any]) -> None:
    """Apply a merge patch: `secrets` replace the old ones whole, `options` are merged, the rest is set.

    Raises InvalidInput.
    """
    described = registry.manifest(credential.connector)
    errors: list[FieldError] = []
    options = _merged(credential.options, sent.get("options") or {})
    if "options" in sent:
        errors += option_errors(described, options, runtime.settings.outbound_allow)
    secrets = sent.get("secrets")
    if secrets is not None:
        storage: Storage = "local" if credential.storage == "local" else "vault"
        errors += secret_errors(_scheme(described, credential.scheme), storage, secrets, runtime.settings)
    _refuse(errors)
    for member in ("name", "owner", "expires_at"):
        if member in sent:
            setattr(credential, member, sent[member])
    credential.options = options
    if secrets is not None:
        _keep_secrets(runtime, credential, secrets)
        credential.proved = None
        # A token of the old secrets would hide that the new ones do not work.
        await session.execute(delete_from(VendorToken).where(VendorToken.credential_id == credential.id))
    credential.updated_at = now()
    await session.flush()


async def delete(session: AsyncSession, credential: Credential) -> None:
    """Raises Conflict with the member `instances` while any uses it."""
    used = select(Instance.id, Instance.name).where(Instance.credential_id == credential.id).order_by(Instance.name)
    instances = [{"id": str(row.id), "name": row.name} for row in (await session.execute(used)).all()]
    if instances:
        names = ", ".join(instance["name"] for instance in instances)
        raise Conflict(f"It is in use by {names}. Give them another credential first.", instances=instances)
    mapped = select(SourceMapping.source_name).where(SourceMapping.tenant_id == credential.id)
    if sources := (await session.scalars(mapped.order_by(SourceMapping.source_name).limit(5))).all():
        raise Conflict(f"Source mappings stand on it: {', '.join(sources)}. Delete them first.")
    await session.delete(credential)
    await session.flush()


async def try_rotation(
    runtime: Runtime, credential: Credential, secrets: Secrets, options: Mapping[str, Any] | None = None
) -> Check:
    """Try new secrets in the place of a credential's, which stay as they are; answers what the new ones prove.

    They are compared with what was last proved; where nothing was, with what the old ones prove now, if they still do.
    options  an instance's, where the credential alone does not say where to knock.
    No transaction may be open: the vendor is called. Raises InvalidInput that says why they cannot be taken.
    """
    storage: Storage = "local" if credential.storage == "local" else "vault"
    asked = _scheme(registry.manifest(credential.connector), credential.scheme)
    _refuse(secret_errors(asked, storage, secrets, runtime.settings))
    fresh = Credential(
        id=credential.id,
        connector=credential.connector,
        scheme=credential.scheme,
        storage=credential.storage,
        options=credential.options,
    )
    _keep_secrets(runtime, fresh, secrets)
    found = await check(runtime, fresh, options, apart=True)
    proved = credential.proved
    if found.ok and proved is None:
        old = await check(runtime, credential, options, apart=True)
        proved = proof_of(old) if old.ok else None
    if refusal := refusal_of(found, proved):
        raise refusal
    return found


async def rotate(
    session: AsyncSession, runtime: Runtime, credential: Credential, secrets: Secrets, found: Check
) -> None:
    """Put secrets that were tried in the place of the old, and drop the old ones' tokens, all at once."""
    _keep_secrets(runtime, credential, secrets)
    credential.proved = proof_of(found)
    await session.execute(delete_from(VendorToken).where(VendorToken.credential_id == credential.id))
    credential.updated_at = now()
    await session.flush()


async def trial_options(session: AsyncSession, credential: Credential) -> dict[str, Any]:
    """Options to try a credential with where its own do not suffice: those of the oldest instance that uses it."""
    if not registry.manifest(credential.connector).missing_options(credential.options):
        return {}
    used = select(Instance.options).where(Instance.credential_id == credential.id).order_by(Instance.id).limit(1)
    return await session.scalar(used) or {}


async def check(
    runtime: Runtime, credential: Credential, options: Mapping[str, Any] | None = None, *, apart: bool = False
) -> Check:
    """Try a credential at its vendor. A vendor that cannot be reached is an answer too, with its code.

    options  an instance's, which win over the credential's own.
    apart    try the secrets themselves, not a token won before.
    No transaction may be open: the vendor is called. It is asked for CHECK_PATIENCE_S seconds at most.
    """
    settings = runtime.settings
    hasty = settings.model_copy(update={"vendor_retry_s": min(settings.vendor_retry_s, CHECK_RETRY_S)})
    try:
        async with (
            asyncio.timeout(CHECK_PATIENCE_S),
            connect(replace(runtime, settings=hasty), credential, options or {}, apart=apart) as connection,
        ):
            return await connection.connector.check()
    except VendorError as error:
        return Check(ok=False, tenant=None, subject=None, code=error.code, detail=error.detail)
    except TimeoutError:
        detail = f"The vendor gave no answer within {CHECK_PATIENCE_S} s."
        return Check(ok=False, tenant=None, subject=None, code="vendor_unavailable", detail=detail)


async def note_proof(session: AsyncSession, credential: Credential, found: Check) -> None:
    """Keep what a successful check revealed, unless the secrets were replaced while it ran."""
    if not found.ok:
        return
    same = (Credential.id == credential.id) & (Credential.sealed == credential.sealed)
    # Not a change that a reader of the credential sees, so its time of change stays.
    await session.execute(
        update(Credential).where(same).values(proved=proof_of(found), updated_at=Credential.updated_at)
    )


def secret_errors(scheme: Scheme, storage: Storage, secrets: Secrets, settings: Settings) -> list[FieldError]:
    """What is wrong with the secrets given for a scheme; never shows one."""
    known = {secret.name: secret for secret in scheme.secrets}
    errors = [
        FieldError(f"{secret.title} is needed.", pointer=f"#/secrets/{secret.name}")
        for secret in scheme.secrets
        if secret.required and secret.name not in secrets
    ]
    for name, value in secrets.items():
        if name not in known:
            names = ", ".join(known)
            errors.append(
                FieldError(f"{scheme.title} has no secret of this name; it has {names}.", f"#/secrets/{name}")
            )
        elif problem := _secret_problem(name, storage, value, settings):
            errors.append(problem)
    return errors


def _secret_problem(name: str, storage: Storage, value: Any, settings: Settings) -> FieldError | None:
    if storage == "local":
        return local_place_error(name, value, settings.secrets_dir)
    pointer = f"#/secrets/{name}"
    if not isinstance(value, str) or not value.strip():
        return FieldError("With storage vault this is the secret itself, a text that is not empty.", pointer=pointer)
    problem = private_key_problem(value) if name == "private_key" else None
    return None if problem is None else FieldError(problem, pointer=pointer)


def _scheme(described: Manifest, scheme: str) -> Scheme:
    asked = described.scheme(scheme)
    if asked is None:
        known = ", ".join(s.scheme for s in described.schemes)
        raise InvalidInput.at("#/scheme", f"{described.name} has no scheme {repeated(scheme)}; it has {known}.")
    return asked


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidInput(errors)


def _keep_secrets(runtime: Runtime, credential: Credential, secrets: Secrets) -> None:
    sealed = runtime.vault.seal(msgspec.json.encode(dict(secrets)), context=sealing_context(credential.id))
    client_id = secrets.get("client_id")
    credential.sealed = sealed
    credential.secrets_set = sorted(secrets)
    credential.client_id_last4 = client_id[-4:] if isinstance(client_id, str) else None


def _merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch of flat options: null takes one away."""
    return {name: value for name, value in {**old, **patch}.items() if value is not None}
