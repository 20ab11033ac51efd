"""People: humans, tied together over all their accounts."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.activity import people
from app.activity.keyset import Fetch, Slice
from app.activity.people import SORTS, PersonFilter
from app.api.accounts import (
    AccountAnswer,
    AccountPage,
    AsOf,
    Prefix,
    Status,
    Wanted,
    answer_accounts,
    last_date,
)
from app.api.deps import AS_VIEWER, Rows, Viewer
from app.api.lists import ListOf, Page, list_answer, paging
from app.api.resources import Resource, answer
from app.api.unit_of_work import Route
from app.core.errors import NotFound

router = APIRouter(prefix="/v1/people", tags=["People"], route_class=Route)


class PersonAnswer(Resource):
    """One human, as all accounts together tell."""

    name: str = Field(examples=["Ada Lovelace"])
    email: str | None = Field(
        description="In lower case: what ties accounts to a person.", examples=["ada@example.com"]
    )
    username: str | None = Field(examples=["ada@example.com"])
    given_name: str | None
    family_name: str | None
    status: Status = Field(description="`active` while any account is.")
    role: str | None = Field(description="As `sync.role` of the instance says.")
    owner: str | None
    restrict_access: bool
    accounts: int = Field(description="How many accounts.", examples=[3])
    fields: dict[str, Any] = Field(examples=[{}])
    uploaded_by: str | None = Field(description="Owner of the instance that uploaded the person.")


@router.get("", operation_id="list_people", response_model=ListOf[PersonAnswer], dependencies=AS_VIEWER)
async def list_people(
    request: Request,
    fetch: Rows,
    page: Annotated[Page, Depends(paging("name"))],
    status: Status | None = None,
    role: str | None = None,
    owner: str | None = None,
    uploaded_by: str | None = None,
    q: Prefix = None,
    as_of: AsOf = None,
) -> Response:
    """People, newest first."""
    last_date(as_of)
    wanted = PersonFilter(status=status, role=role, owner=owner, uploaded_by=uploaded_by, q=q, as_of=as_of)
    asked = Slice(page.limit, SORTS.get(page.sort), page.descending, page.after)
    items, last = await people.list_people(fetch, wanted, asked)
    total = await people.count_people(fetch, wanted) if page.count else None
    return list_answer(request, page, items, last=last, total=total)


@router.get("/{person_id}", operation_id="get_person", response_model=PersonAnswer)
async def get_person(request: Request, _caller: Viewer, fetch: Rows, person_id: UUID, as_of: AsOf = None) -> Response:
    """One person."""
    last_date(as_of)
    return answer(request, await _found(fetch, person_id, as_of))


@router.get("/{person_id}/accounts", operation_id="list_accounts_of_person", response_model=ListOf[AccountAnswer])
async def list_accounts_of_person(
    request: Request, _caller: Viewer, fetch: Rows, person_id: UUID, page: AccountPage, wanted: Wanted
) -> Response:
    """A person's accounts."""
    await _found(fetch, person_id)
    return await answer_accounts(request, fetch, page, replace(wanted, person_id=person_id))


async def _found(fetch: Fetch, person_id: UUID, as_of: dt.datetime | None = None) -> bytes:
    found = await people.find_person(fetch, person_id, as_of)
    if found is None:
        raise NotFound("There is no person with this id.")
    return found
