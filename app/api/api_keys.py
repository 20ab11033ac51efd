"""Who may call this API: keys with a role, shown once, kept as a hash."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import audit
from app.access.keys import create_key
from app.access.principal import Role
from app.api.deps import Admin, Session
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.resources import Body, Email, Moment, Name, Resource, answer, etag_of, require_match
from app.api.unit_of_work import Route
from app.core.clock import now
from app.core.errors import InvalidInput, NotFound
from app.models import ApiKey, Instance

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"], route_class=Route)


class NewApiKey(Body):
    """A key to be made."""

    name: Name
    role: Role = Field(description="`ingest` may only hand records to the instance that it is bound to.")
    instance_id: UUID | None = Field(default=None, description="The instance of a key with the role `ingest`.")
    email: Email | None = Field(default=None, description="Where to write to whoever holds the key.")
    expires_at: Moment | None = Field(default=None, description="A time to come; null for a key without end.")


class ApiKeyAnswer(Resource):
    """A key without the key itself."""

    name: str = Field(examples=["Reporting script"])
    role: Role
    instance_id: UUID | None = Field(description="The instance of a key with the role `ingest`.", examples=[None])
    email: str | None = Field(examples=["ada@example.com"])
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class MadeApiKey(ApiKeyAnswer):
    """A key just made."""

    key: str = Field(description="The key itself, in this answer only.", examples=["sw_…"])


def shown(key: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer.model_validate(key)


@router.get("", operation_id="list_api_keys", response_model=ListOf[ApiKeyAnswer])
async def list_api_keys(
    request: Request, _caller: Admin, session: Session, page: Annotated[Page, Depends(paging("name"))]
) -> Response:
    """Keys that were not revoked, newest first."""
    statement = select(ApiKey).where(ApiKey.revoked_at.is_(None))
    by_name = func.lower(ApiKey.name).collate("C")
    found = await select_page(session, statement, page, identity=ApiKey.id, sorts={"name": by_name})
    return list_answer(request, page, [shown(key) for key in found.items], last=found.last, total=found.total)


@router.post("", operation_id="create_api_key", status_code=201, response_model=MadeApiKey)
async def create_api_key(request: Request, caller: Admin, session: Session, body: NewApiKey) -> Response:
    """Make a key. Its id and itself are also a client id and secret for /oauth/token."""
    if body.instance_id is not None and await session.get(Instance, body.instance_id) is None:
        raise InvalidInput.at("#/instance_id", "There is no instance with this id.")
    made = create_key(session, **body.model_dump())
    key = shown(made.row)
    audit(session, caller, request, "api_key.created", "api_key", key.id, key.name, None, key.model_dump())
    answered = MadeApiKey(**key.model_dump(), key=made.secret)
    return answer(request, answered, 201, location=f"{router.prefix}/{key.id}", etag=etag_of(key))


@router.get("/{key_id}", operation_id="get_api_key", response_model=ApiKeyAnswer)
async def get_api_key(request: Request, _caller: Admin, session: Session, key_id: UUID) -> Response:
    """One key."""
    return answer(request, shown(await _get(session, key_id)))


@router.delete("/{key_id}", operation_id="revoke_api_key", status_code=204, response_class=Response)
async def revoke_api_key(request: Request, caller: Admin, session: Session, key_id: UUID) -> Response:
    """Revoke a key: it, and every token minted for it, ends at once."""
    key = await _get(session, key_id, lock=True)
    before = shown(key)
    require_match(request, before)
    key.revoked_at = now()
    audit(session, caller, request, "api_key.deleted", "api_key", key.id, key.name, before.model_dump(), None)
    return Response(status_code=204)


async def _get(session: AsyncSession, key_id: UUID, *, lock: bool = False) -> ApiKey:
    key = await session.get(ApiKey, key_id, with_for_update=lock)
    if key is None or key.revoked_at is not None:
        raise NotFound("There is no API key with this id.")
    return key
