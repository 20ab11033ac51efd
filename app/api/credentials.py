"""Secrets for a connector: they go in, are tried, and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from app import credentials
from app.access.audit import MASK, audit
from app.api.deps import Admin, Operator, Runtime, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Creator, Moment, Name, Resource, Text, answer, require_match, unset
from app.api.unit_of_work import Route
from app.connectors import registry
from app.connectors.contract import Check
from app.core.errors import Conflict, FailureCode
from app.models import Credential

router = APIRouter(prefix="/v1/credentials", tags=["Credentials"], route_class=Route)

MemberName = Annotated[str, Field(max_length=200)]
SecretText = Annotated[str, Field(min_length=1, max_length=20_000)]
Place = Annotated[
    dict[Literal["env", "file"], Annotated[str, Field(min_length=1, max_length=4096)]],
    Field(min_length=1, max_length=1),
]
Secrets = Annotated[
    dict[MemberName, SecretText | Place],
    Field(
        max_length=20,
        description="By name, as the scheme's `secrets_schema` asks. With storage `local` each is"
        ' `{"env": "NAME"}` or `{"file": "/path"}`.',
        json_schema_extra={"writeOnly": True},
        examples=[{"client_id": "7d1c0a52-…", "client_secret": "…"}],
    ),
]
Options = Annotated[
    dict[MemberName, Any],
    Field(
        max_length=100,
        description="Connection options, as the connector's `options_schema` asks.",
        examples=[{"region": "eu"}],
    ),
]


class NewCredential(Body):
    """A credential to be kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "PingOne production",
                    "connector": "pingone",
                    "scheme": "oauth2_client_credentials",
                    "secrets": {"client_id": "5b0f7d1e-0c53-4a59-8f0e-6a1f8e2b4c77", "client_secret": "…"},
                    "options": {"region": "eu", "environment_id": "0b1a2c3d-1111-4222-8333-444455556666"},
                    "owner": "it-ops@example.com",
                    "expires_at": None,
                }
            ]
        }
    )

    name: Name
    connector: Annotated[str, Field(max_length=100, json_schema_extra={"enum": list(registry.MANIFESTS)})]
    scheme: Annotated[str, Field(max_length=100, examples=["oauth2_client_credentials"])]
    storage: Literal["vault", "local"] = "vault"
    secrets: Secrets
    options: Options = Field(default_factory=dict)
    owner: Text | None = None
    expires_at: Moment | None = None


class CredentialPatch(Body):
    """A merge patch: `secrets` are replaced whole, `options` are merged."""

    name: Name = Field(default_factory=unset)
    secrets: Secrets = Field(default_factory=unset)
    options: Options = Field(default_factory=unset)
    owner: Text | None = None
    expires_at: Moment | None = None


class CredentialRotation(Body):
    """New secrets in the place of the old, whole."""

    secrets: Secrets
    expires_at: Moment | None = Field(default=None, description="When the new ones end; left as it is if absent.")


class CredentialAnswer(Resource):
    """A credential; of its secrets only the names."""

    name: str = Field(examples=["PingOne production"])
    connector: str = Field(examples=["pingone"])
    scheme: str = Field(examples=["oauth2_client_credentials"])
    storage: Literal["vault", "local"]
    secrets_set: list[str] = Field(examples=[["client_id", "client_secret"]])
    client_id_last4: str | None = Field(description="The last four characters of the client id.", examples=["4c77"])
    options: Options
    owner: str | None
    expires_at: datetime | None
    created_by: Creator


class Identity(BaseModel):
    """Whose credential it is, as far as the vendor told."""

    tenant: str | None = Field(examples=["acme.okta.com"])
    subject: str | None = Field(examples=["seatwise-worker"])


class CheckAnswer(BaseModel):
    """What a credential reveals when tried. Permissions are in the vendor's own words."""

    ok: bool
    identity: Identity
    granted: list[str] = Field(examples=[["Environment Admin"]])
    missing: list[str] = Field(examples=[["Identity Data Admin"]])
    warnings: list[str] = Field(examples=[[]])
    code: FailureCode | None = Field(description="Why it is not ok.", examples=["insufficient_permissions"])
    detail: str = Field(examples=["Grant the worker application the role Identity Data Admin."])


def checked(found: Check) -> CheckAnswer:
    return CheckAnswer(
        ok=found.ok,
        identity=Identity(tenant=found.tenant, subject=found.subject),
        granted=list(found.granted),
        missing=list(found.missing),
        warnings=list(found.warnings),
        code=found.code,
        detail=found.detail,
    )


def shown(credential: Credential) -> CredentialAnswer:
    return CredentialAnswer.model_validate(credential)


@router.get("", operation_id="list_credentials", response_model=ListOf[CredentialAnswer])
async def list_credentials(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("name"))],
    connector: Annotated[str | None, Query(examples=["pingone"])] = None,
) -> Response:
    """Credentials, newest first."""
    statement = select(Credential)
    if connector is not None:
        statement = statement.where(Credential.connector == connector)
    by_name = func.lower(Credential.name).collate("C")
    found = await select_page(session, statement, page, identity=Credential.id, sorts={"name": by_name})
    return list_answer(request, page, [shown(c) for c in found.items], last=found.last, total=found.total)


@router.post("", operation_id="create_credential", status_code=201, response_model=CredentialAnswer)
async def create_credential(
    request: Request, caller: Admin, session: Session, runtime: Runtime, body: NewCredential
) -> Response:
    """Keep a credential. Its secrets are encrypted and never shown again."""
    credential = await credentials.create(session, runtime, by=caller, **body.model_dump())
    answered = shown(credential)
    after = {**answered.model_dump(), "secrets": _named(credential)}
    audit(session, caller, request, "credential.created", "credential", credential.id, credential.name, None, after)
    return answer(request, answered, 201, location=f"{router.prefix}/{credential.id}")


@router.get("/{credential_id}", operation_id="get_credential", response_model=CredentialAnswer)
async def get_credential(request: Request, _caller: Viewer, session: Session, credential_id: UUID) -> Response:
    """One credential."""
    return answer(request, shown(await credentials.get(session, credential_id)))


@router.patch("/{credential_id}", operation_id="update_credential", response_model=CredentialAnswer)
async def update_credential(
    request: Request, caller: Admin, session: Session, runtime: Runtime, credential_id: UUID, body: CredentialPatch
) -> Response:
    """Change a credential by a JSON merge patch."""
    credential = await credentials.get(session, credential_id, lock=True)
    before = shown(credential)
    require_match(request, before)
    sent = body.sent()
    await credentials.change(session, runtime, credential, sent)
    answered = shown(credential)
    after = answered.model_dump() | ({"secrets": _named(credential)} if "secrets" in sent else {})
    audit(
        session,
        caller,
        request,
        "credential.updated",
        "credential",
        credential.id,
        credential.name,
        before.model_dump(),
        after,
    )
    return answer(request, answered)


@router.delete(
    "/{credential_id}",
    operation_id="delete_credential",
    status_code=204,
    response_class=Response,
    responses=problems(409),
)
async def delete_credential(request: Request, caller: Admin, session: Session, credential_id: UUID) -> Response:
    """Delete a credential that no instance uses; else 409 with the member `instances`."""
    credential = await credentials.get(session, credential_id, lock=True)
    before = shown(credential)
    require_match(request, before)
    await credentials.delete(session, credential)
    audit(
        session,
        caller,
        request,
        "credential.deleted",
        "credential",
        credential.id,
        credential.name,
        before.model_dump(),
        None,
    )
    return Response(status_code=204)


@router.post("/{credential_id}/check", operation_id="check_credential", response_model=CheckAnswer)
async def check_credential(_caller: Operator, session: Session, runtime: Runtime, credential_id: UUID) -> CheckAnswer:
    """Try a credential at its vendor, with its own options. 200 also when it is not ok."""
    credential = await credentials.get(session, credential_id)
    await session.commit()  # the vendor is called with no transaction open
    found = await credentials.check(runtime, credential)
    await credentials.note_proof(session, credential, found)
    return checked(found)


@router.post(
    "/{credential_id}/rotate",
    operation_id="rotate_credential",
    response_model=CredentialAnswer,
    responses=problems(409),
)
async def rotate_credential(
    request: Request, caller: Admin, session: Session, runtime: Runtime, credential_id: UUID, body: CredentialRotation
) -> Response:
    """Swap the secrets in one step. The new ones are tried first: they must reveal the same tenant and no fewer
    permissions than last proved, else 422 says why and the old ones stay.
    """
    credential = await credentials.get(session, credential_id)
    options, seen = await credentials.trial_options(session, credential), credential.updated_at
    await session.commit()  # the vendor is called with no transaction open
    found = await credentials.try_rotation(runtime, credential, body.secrets, options)
    await session.refresh(credential, with_for_update=True)
    if credential.updated_at != seen:
        raise Conflict("This credential was changed while the new secrets were tried. Look at it, then rotate again.")
    before = shown(credential)
    await credentials.rotate(session, runtime, credential, body.secrets, found)
    if "expires_at" in body.model_fields_set:
        credential.expires_at = body.expires_at
        await session.flush()
    answered = shown(credential)
    after = {**answered.model_dump(), "secrets": _named(credential)}
    named = ("credential", credential.id, credential.name)
    audit(session, caller, request, "credential.rotated", *named, before.model_dump(), after)
    return answer(request, answered)


def _named(credential: Credential) -> dict[str, str]:
    """What the audit keeps of secrets that were set: their names."""
    return dict.fromkeys(credential.secrets_set, MASK)
