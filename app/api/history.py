"""What happened to accounts and people, change by change."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from app import history
from app.activity.accounts import find_account
from app.activity.days import window
from app.activity.keyset import Slice
from app.activity.people import find_person
from app.api.audit import Actor
from app.api.deps import Books, Viewer
from app.api.lists import ListOf, Page, list_answer, paging
from app.api.syncs import Action
from app.api.unit_of_work import Route
from app.core.clock import today
from app.core.database import Database
from app.core.errors import NotFound

router = APIRouter(prefix="/v1", route_class=Route)

Paged = Annotated[Page, Depends(paging())]


class HistoryAnswer(BaseModel):
    """One change; `before` and `after` have the fields that differ."""

    at: dt.datetime = Field(examples=["2026-11-03T09:30:00Z"])
    action: Action
    before: dict[str, Any] | None = Field(examples=[{"status": "active"}])
    after: dict[str, Any] | None = Field(examples=[{"status": "inactive"}])
    sync_id: UUID | None = Field(description="The sync that made it; null for a person's change.")
    actor: Actor | None = Field(description="Who made it; null for a sync's change.")


@router.get(
    "/accounts/{account_id}/history",
    operation_id="list_history_of_account",
    response_model=ListOf[HistoryAnswer],
    tags=["Accounts"],
)
async def list_history_of_account(
    request: Request, _caller: Viewer, database: Books, account_id: UUID, page: Paged
) -> Response:
    """What happened to an account, latest first; of those joined into it too."""
    if await find_account(database.pool.fetch, account_id, window(1, today())) is None:
        raise NotFound("There is no account with this id.")
    return await _answer(request, database, "accounts", account_id, page)


@router.get(
    "/people/{person_id}/history",
    operation_id="list_history_of_person",
    response_model=ListOf[HistoryAnswer],
    tags=["People"],
)
async def list_history_of_person(
    request: Request, _caller: Viewer, database: Books, person_id: UUID, page: Paged
) -> Response:
    """What happened to a person, latest first."""
    if await find_person(database.pool.fetch, person_id) is None:
        raise NotFound("There is no person with this id.")
    return await _answer(request, database, "people", person_id, page)


async def _answer(request: Request, database: Database, kind: history.Kind, object_id: UUID, page: Page) -> Response:
    items, last = await history.list_history(
        database.pool, kind, object_id, Slice(page.limit, None, page.descending, page.after)
    )
    total = await history.count_history(database.pool, kind, object_id) if page.count else None
    return list_answer(request, page, items, last=last, total=total)
