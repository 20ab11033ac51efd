"""Syncs: runs of instances, what they changed, what they could not use, and their progress as it happens."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.access.audit import audit
from app.activity.keyset import Fetch, Slice
from app.api.deps import AS_VIEWER, Operator, Rows, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging
from app.api.openapi import problems
from app.api.resources import Resource, answer
from app.api.sync_events import follow
from app.api.unit_of_work import Route
from app.connectors.contract import StreamName
from app.core.errors import FailureCode, NotFound
from app.sync import requests, story
from app.sync.story import SyncFilter

router = APIRouter(prefix="/v1/syncs", tags=["Syncs"], route_class=Route)

SyncStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
SyncTrigger = Literal["launch", "manual", "schedule", "reactivate", "plan"]
Kind = Literal["people", "applications", "accounts"]
Action = Literal["created", "updated", "deactivated", "reactivated"]


class StreamProgress(BaseModel):
    """How far one stream is: records fetched, and how many are expected where the vendor tells."""

    fetched: int = Field(examples=[200])
    expected: int | None = Field(examples=[1200])
    done: bool


class Progress(BaseModel):
    """All four streams, also those that the connector lacks."""

    users: StreamProgress
    applications: StreamProgress
    assignments: StreamProgress
    activity: StreamProgress


class Counts(BaseModel):
    """What became of the records of one kind; of activity, days of accounts are counted."""

    read: int
    created: int
    updated: int
    unchanged: int
    deactivated: int
    reactivated: int
    filtered: int
    rejected: int
    held: int


class Counters(BaseModel):
    people: Counts
    applications: Counts
    accounts: Counts
    activity: Counts


class Failure(BaseModel):
    """Why a sync failed; `vendor_status` and `vendor_code` are the vendor's own words."""

    code: FailureCode
    detail: str
    retryable: bool
    stream: StreamName | None
    request: str | None = Field(examples=["GET /api/v1/users"])
    vendor_status: int | None
    vendor_code: str | None


class Waiting(BaseModel):
    """What a sync waits for now."""

    reason: str
    seconds: float


class SyncAnswer(Resource):
    """One run of an instance."""

    instance_id: UUID
    status: SyncStatus
    trigger: SyncTrigger
    scheduled_for: dt.datetime | None = Field(description="The fire of the schedule that it answers.")
    missed_fires: int = Field(description="How many earlier fires it stands for.", examples=[0])
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    progress: Progress
    counters: Counters
    failure: Failure | None
    waiting: Waiting | None
    vendor_calls: int = Field(description="HTTP requests sent to the vendor for it.", examples=[17])
    throttled_seconds: float = Field(examples=[0.0])
    held_plan_id: UUID | None = Field(description="The plan of what it has held back.")


class ChangeAnswer(BaseModel):
    """One change to a record; `before` and `after` have the fields that differ."""

    kind: Kind
    id: UUID
    name: str = Field(examples=["Ada Lovelace"])
    action: Action
    before: dict[str, Any] | None = Field(examples=[{"status": "active"}])
    after: dict[str, Any] | None = Field(examples=[{"status": "inactive"}])


class RecordErrorAnswer(BaseModel):
    """A record, or a value of one, that a sync could not use."""

    stream: StreamName
    vendor_id: str | None
    code: str = Field(examples=["no_identity"])
    detail: str = Field(examples=["The record has neither an e-mail address nor a username."])


async def answer_syncs(request: Request, fetch: Fetch, page: Page, wanted: SyncFilter) -> Response:
    """A list of syncs, for every path that has one."""
    items, last = await story.list_syncs(fetch, wanted, _slice(page))
    total = await story.count_syncs(fetch, wanted) if page.count else None
    return list_answer(request, page, items, last=last, total=total)


def location(sync_id: UUID) -> str:
    return f"{router.prefix}/{sync_id}"


@router.get("", operation_id="list_syncs", response_model=ListOf[SyncAnswer], dependencies=AS_VIEWER)
async def list_syncs(
    request: Request,
    fetch: Rows,
    page: Annotated[Page, Depends(paging())],
    instance_id: UUID | None = None,
    status: SyncStatus | None = None,
    trigger: SyncTrigger | None = None,
) -> Response:
    """Syncs of all instances, newest first."""
    return await answer_syncs(request, fetch, page, SyncFilter(instance_id=instance_id, status=status, trigger=trigger))


@router.get("/{sync_id}", operation_id="get_sync", response_model=SyncAnswer)
async def get_sync(request: Request, _caller: Viewer, fetch: Rows, sync_id: UUID) -> Response:
    """One sync with its progress and counters."""
    return answer(request, await _found(fetch, sync_id))


@router.get("/{sync_id}/errors", operation_id="list_errors_of_sync", response_model=ListOf[RecordErrorAnswer])
async def list_errors_of_sync(
    request: Request, _caller: Viewer, fetch: Rows, sync_id: UUID, page: Annotated[Page, Depends(paging())]
) -> Response:
    """Records that the sync could not use, latest first."""
    await _found(fetch, sync_id)
    items, last = await story.list_errors(fetch, sync_id, _slice(page))
    total = await story.count_errors(fetch, sync_id) if page.count else None
    return list_answer(request, page, items, last=last, total=total)


@router.get("/{sync_id}/changes", operation_id="list_changes_of_sync", response_model=ListOf[ChangeAnswer])
async def list_changes_of_sync(
    request: Request,
    _caller: Viewer,
    fetch: Rows,
    sync_id: UUID,
    page: Annotated[Page, Depends(paging())],
    kind: Kind | None = None,
    action: Action | None = None,
) -> Response:
    """What the sync changed, record by record, latest first."""
    await _found(fetch, sync_id)
    items, last = await story.list_changes(fetch, sync_id, _slice(page), kind=kind, action=action)
    total = await story.count_changes(fetch, sync_id, kind=kind, action=action) if page.count else None
    return list_answer(request, page, items, last=last, total=total)


@router.post(
    "/{sync_id}/cancel",
    operation_id="cancel_sync",
    status_code=202,
    response_model=SyncAnswer,
    responses=problems(409),
)
async def cancel_sync(request: Request, caller: Operator, session: Session, sync_id: UUID) -> Response:
    """Stop a sync. What it has written so far stays; nobody is deactivated."""
    sync = await requests.cancel_sync(session, sync_id)
    audit(
        session,
        caller,
        request,
        "sync.updated",
        "sync",
        sync.id,
        None,
        {"status": "running" if sync.started_at else "queued"},
        {"status": sync.status},
    )
    return answer(request, story.sync_as_json(sync), 202, location=location(sync.id))


@router.get(
    "/{sync_id}/events",
    operation_id="follow_sync",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `progress` at once and then at most twice a second, `finished` at last;"
            " `data` is the sync. A comment line comes at least every 15 s.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def follow_sync(request: Request, _caller: Viewer, fetch: Rows, sync_id: UUID) -> StreamingResponse:
    """The sync's progress as it happens."""
    await _found(fetch, sync_id)
    gate = request.app.state.gate
    events: AsyncIterator[bytes] = follow(partial(story.find_sync, fetch, sync_id), lambda: bool(gate.draining))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")


def _slice(page: Page) -> Slice:
    return Slice(page.limit, None, page.descending, page.after)


async def _found(fetch: Fetch, sync_id: UUID) -> bytes:
    found = await story.find_sync(fetch, sync_id)
    if found is None:
        raise NotFound("There is no sync with this id.")
    return found
