"""Licences: seats bought, held and used, what the unused ones cost, and why each can be taken back or not."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.activity.days import parse_window
from app.api.accounts import DEFAULT_WINDOW, Seat, Usage, Window
from app.api.contracts import Money
from app.api.deps import Books, Viewer
from app.api.lists import MAX_LIMIT, decode_cursor, encode_cursor, place_of
from app.api.openapi import problems
from app.api.resources import answer
from app.api.unit_of_work import Route
from app.core.clock import today
from app.core.errors import NotFound
from app.licences.application import Reclaim, application_licences
from app.licences.explain import explain_account

router = APIRouter(prefix="/v1", tags=["Licences"], route_class=Route)


class ReclaimAnswer(BaseModel):
    """A seat to take back."""

    account_id: UUID
    email: str | None = Field(examples=["ada@example.com"])
    last_active_at: dt.datetime | None
    days_active: int = Field(description="Always 0: it is unused.", examples=[0])
    covered_days: int = Field(examples=[30])
    reason: str = Field(examples=["Unused for the whole window, of which 30 of 30 days are covered; no use is known."])


class LicencesAnswer(BaseModel):
    """assigned = used + unused + unknown. Exempt and in-grace seats count in these, but neither in `reclaim` nor cost.

    Without a contract in force `seats_bought`, `available` and both costs are null.
    """

    application_id: UUID
    window: str = Field(examples=["30d"])
    first: dt.date = Field(alias="from", examples=["2026-10-05"])
    to: dt.date = Field(examples=["2026-11-03"])
    covered_days: int = Field(examples=[30])
    covered_until: dt.datetime | None
    contract_id: UUID | None = Field(description="The contract in force: the one that started last.")
    seats_bought: int | None = Field(examples=[50])
    assigned: int = Field(description="Accounts whose `seat` is not `none`.", examples=[42])
    used: int = Field(examples=[30])
    unused: int = Field(examples=[12])
    unknown: int = Field(description="Not seen used, but the window is not wholly covered.", examples=[0])
    available: int | None = Field(description="Bought less assigned; negative where more are held.", examples=[8])
    exempt: int = Field(examples=[1])
    in_grace: int = Field(examples=[2])
    cost_of_unused: Money | None = Field(description="Of the seats to reclaim.")
    total_cost: Money | None = Field(description="Of all seats bought.")
    if_window: dict[str, int] = Field(
        description="How many seats are unused in other windows.", examples=[{"60d": 7, "90d": 5}]
    )
    reclaim_total: int = Field(description="How many seats can be taken back.", examples=[9])
    reclaim: list[ReclaimAnswer] = Field(description="One page of them, the oldest account first.")
    next_cursor: str | None = Field(description="Where the next page of `reclaim` begins.", examples=[None])


class ExplainAnswer(BaseModel):
    """What decides about one seat."""

    account_id: UUID
    application_id: UUID
    window: str = Field(examples=["30d"])
    reclaimable: bool
    reason: str = Field(examples=["In grace until 2026-12-01, 30 days after the seat was given."])
    seat: Seat
    usage: Usage
    days_active: int | None = Field(description="Null where no date of the window is covered.", examples=[0])
    covered_days: int = Field(examples=[30])
    last_active_at: dt.datetime | None
    in_grace: bool
    in_grace_until: dt.date | None = Field(description="The last date of grace; null where it is not in grace.")
    exempt: bool
    exempt_until: dt.date | None = Field(description="The last date of its exemption; null for good, or for none.")


@router.get(
    "/applications/{application_id}/licences",
    operation_id="get_application_licences",
    response_model=LicencesAnswer,
    responses=problems(400),
)
async def get_application_licences(
    request: Request,
    _caller: Viewer,
    database: Books,
    application_id: UUID,
    window: Window = DEFAULT_WINDOW,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Seats of one page of `reclaim`.")] = MAX_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> Response:
    """Seats bought, held, used and unused, what the unused ones cost, and which to take back."""
    binding = f"{request.url.path}?window={window}"
    wanted = Reclaim(limit) if cursor is None else Reclaim(limit, *place_of(decode_cursor(binding, cursor), UUID))
    found = await application_licences(database.pool, application_id, parse_window(window, today()), wanted)
    if found is None:
        raise NotFound("There is no application with this id.")
    figures, last = found
    following = None if last is None else encode_cursor(binding, [str(last)])
    response = answer(request, msgspec.json.encode({**figures, "next_cursor": following}))
    if following is not None:
        query = urlencode({"window": window, "limit": limit, "cursor": following})
        response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return response


@router.get("/accounts/{account_id}/explain", operation_id="explain_account", response_model=ExplainAnswer)
async def get_explanation(
    request: Request, _caller: Viewer, database: Books, account_id: UUID, window: Window = DEFAULT_WINDOW
) -> Response:
    """Whether an account's seat can be taken back, and why or why not, in plain words."""
    found = await explain_account(database.pool, account_id, parse_window(window, today()))
    if found is None:
        raise NotFound("There is no account with this id.")
    return answer(request, msgspec.json.encode(found))
