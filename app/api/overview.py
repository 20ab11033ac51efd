"""The overview: what a dashboard opens with."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.activity.days import parse_window
from app.api.accounts import DEFAULT_WINDOW, Window
from app.api.contracts import Money
from app.api.deps import Books, Viewer
from app.api.resources import answer
from app.api.unit_of_work import Route
from app.core.clock import today
from app.licences.overview import overview

router = APIRouter(prefix="/v1/overview", tags=["Licences"], route_class=Route)


class RenewalAnswer(BaseModel):
    """A contract that renews soon."""

    contract_id: UUID
    application_id: UUID
    application: str = Field(examples=["Salesforce"])
    renews_on: dt.date = Field(examples=["2026-12-31"])
    seats: int = Field(examples=[250])
    total_cost: Money


class InstancesAnswer(BaseModel):
    """Instances by status."""

    draft: int = Field(examples=[0])
    live: int = Field(examples=[3])
    inactive: int = Field(examples=[1])
    deleting: int = Field(examples=[0])


class StaleAnswer(BaseModel):
    """An instance whose data is out of date."""

    id: UUID
    name: str = Field(examples=["Okta production"])
    stale_since: dt.datetime


class OverviewAnswer(BaseModel):
    """Sums over all applications; assigned = used + unused + unknown. What is being deleted counts nowhere."""

    window: str = Field(examples=["30d"])
    first: dt.date = Field(alias="from", examples=["2026-10-05"])
    to: dt.date = Field(examples=["2026-11-03"])
    applications: int = Field(examples=[83])
    people: int = Field(examples=[1511])
    accounts: int = Field(description="Those without a seat too.", examples=[14550])
    assigned: int = Field(description="Accounts whose `seat` is not `none`.", examples=[14100])
    used: int = Field(examples=[9000])
    unused: int = Field(examples=[1100])
    unknown: int = Field(examples=[4000])
    exempt: int = Field(examples=[4])
    in_grace: int = Field(examples=[120])
    reclaimable: int = Field(description="Unused, and neither exempt nor in grace.", examples=[980])
    seats_bought: int = Field(description="By the contracts in force.", examples=[12000])
    cost_of_unused: list[Money] = Field(description="Of the seats to reclaim, for each currency and period.")
    total_cost: list[Money] = Field(description="Of all seats bought, for each currency and period.")
    renewals_total: int = Field(description="Contracts that renew within 60 days.", examples=[0])
    renewals: list[RenewalAnswer] = Field(description="The next of them, 50 at most.")
    instances: InstancesAnswer
    stale_total: int = Field(examples=[0])
    stale: list[StaleAnswer] = Field(description="The longest out of date, 50 at most.")


@router.get("", operation_id="get_overview", response_model=OverviewAnswer)
async def get_overview(request: Request, _caller: Viewer, database: Books, window: Window = DEFAULT_WINDOW) -> Response:
    """Applications, people, seats, use and spend in one answer."""
    found = await overview(database.pool, parse_window(window, today()))
    return answer(request, msgspec.json.encode(found))
