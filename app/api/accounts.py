"""Accounts: who has which seat, and on which days it is used."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from app.activity import accounts
from app.activity.accounts import SORTS, AccountFilter
from app.activity.days import LONGEST_WINDOW, WINDOW_PATTERN, Span, parse_window, window
from app.activity.keyset import Fetch, Slice
from app.activity.usage import account_activity
from app.api.deps import AS_VIEWER, Books, ParametersBeginning, Rows, Viewer
from app.api.lists import ListOf, Page, list_answer, paging
from app.api.resources import Moment, Resource, answer
from app.api.unit_of_work import Route
from app.core.clock import now, today
from app.core.errors import InvalidInput, NotFound

router = APIRouter(prefix="/v1/accounts", tags=["Accounts"], route_class=Route)

DEFAULT_WINDOW = "30d"
DEFAULT_CALENDAR_DAYS = 90
EARLIEST_YEAR = 1970

Window = Annotated[
    str,
    Query(pattern=WINDOW_PATTERN, description="The UTC dates that end with today, `1d` to `400d`.", examples=["30d"]),
]
Prefix = Annotated[
    str | None, Query(min_length=1, max_length=200, description="Beginning of a name, e-mail or username, case-blind.")
]
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _as_written(value: object) -> object:
    if isinstance(value, str) and _DATE.fullmatch(value):
        return value
    raise ValueError("This is a date such as 2026-11-03.")


Day = Annotated[dt.date, BeforeValidator(_as_written)]
Seat = Literal["assigned", "entitled", "unknown", "none"]
Status = Literal["active", "inactive"]
Usage = Literal["used", "unused", "unknown"]


AsOf = Annotated[
    Moment | None,
    Query(
        description="What was known at this time. The window ends then; marks of bypassed sign-on are not kept.",
        examples=["2026-11-01T00:00:00Z"],
    ),
]


def last_date(as_of: dt.datetime | None) -> dt.date:
    """The date with which windows end. Raises InvalidInput for a time to come, or one that was never kept."""
    if as_of is None:
        return today()
    if as_of > now():
        raise InvalidInput.parameter("as_of", "This time has not come yet.")
    if as_of.year < EARLIEST_YEAR:
        raise InvalidInput.parameter("as_of", f"The books know of no time before {EARLIEST_YEAR}.")
    return as_of.date()


class BypassAnswer(BaseModel):
    """Why the sign-on provider may be bypassed."""

    kind: Literal["not_managed", "used_without_sign_on", "application_kind"]
    detail: str = Field(examples=["No sign-on provider gives this person the application."])


class AccountAnswer(Resource):
    """One vendor user's seat in one application, with its use in the window asked for."""

    instance_id: UUID
    application_id: UUID
    application: str = Field(description="The application's name.", examples=["Salesforce"])
    person_id: UUID
    vendor_id: str = Field(description="The vendor's id of the user.", examples=["00u1ab2cd3EF4gh5i6"])
    username: str | None = Field(examples=["ada"])
    email: str | None = Field(examples=["ada@example.com"])
    name: str = Field(examples=["Ada Lovelace"])
    role: str | None
    seat: Seat
    status: Status
    vendor_status: str | None = Field(examples=["ACTIVE"])
    last_active_at: dt.datetime | None
    window: str = Field(examples=["30d"])
    days_active: int | None = Field(description="Null where no date of the window is covered.", examples=[12])
    covered_days: int = Field(description="Dates of the window whose use was fully observed.", examples=[30])
    covered_until: dt.datetime | None = Field(description="Time of the latest complete read of activity.")
    usage: Usage = Field(description="`unused` only where every date before today is covered.")
    metadata: dict[str, Any] = Field(description="The vendor's fields.", examples=[{"status": "ACTIVE"}])
    fields: dict[str, Any] = Field(description="Fields that the instance's mapping fills.", examples=[{}])
    assigned_at: dt.datetime | None
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    deactivated_at: dt.datetime | None
    uploaded_by: str | None = Field(description="Owner of the instance that reports the account.")
    bypasses_sso: Literal["possible"] | None = Field(description="Whether the sign-on provider may be bypassed.")
    bypass_evidence: list[BypassAnswer]
    sync_id: UUID | None = Field(description="The sync that changed it last.")


class DayAnswer(BaseModel):
    """One date: `active` with use, `idle` without where it is covered, else `unknown`."""

    date: dt.date
    state: Literal["active", "idle", "unknown"]


class AccountActivityAnswer(BaseModel):
    """The days of one account."""

    first: dt.date = Field(alias="from", examples=["2026-08-06"])
    to: dt.date = Field(examples=["2026-11-03"])
    days_active: int | None = Field(examples=[1])
    covered_days: int = Field(examples=[90])
    covered_until: dt.datetime | None
    days: list[dt.date] = Field(examples=[["2026-11-03"]])
    calendar: list[DayAnswer]


async def account_filter(
    metadata: Annotated[Mapping[str, str], Depends(ParametersBeginning("metadata."))],
    application_id: UUID | None = None,
    instance_id: UUID | None = None,
    person_id: UUID | None = None,
    status: Status | None = None,
    seat: Seat | None = None,
    role: str | None = None,
    vendor_id: str | None = None,
    usage: Usage | None = None,
    owner: Annotated[str | None, Query(description="Owner of the instances that report the accounts.")] = None,
    uploaded_by: str | None = None,
    q: Prefix = None,
    days_active_lt: Annotated[int | None, Query(ge=0, le=LONGEST_WINDOW + 1)] = None,
    window: Window | None = None,
    inactive_for: Annotated[
        str | None, Query(pattern=WINDOW_PATTERN, description="`30d` is `window=30d&usage=unused`.")
    ] = None,
    bypasses_sso: Literal["possible"] | None = None,
    as_of: AsOf = None,
) -> AccountFilter:
    """The filters of a list of accounts. Raises InvalidInput where two of them contradict each other."""
    if inactive_for is not None and window not in (None, inactive_for):
        raise InvalidInput.parameter("window", "inactive_for names the window already; leave one of the two out.")
    if inactive_for is not None and usage not in (None, "unused"):
        raise InvalidInput.parameter("usage", "inactive_for asks for unused accounts; leave one of the two out.")
    return AccountFilter(
        window=parse_window(inactive_for or window or DEFAULT_WINDOW, last_date(as_of)),
        bypasses_sso=bypasses_sso,
        as_of=as_of,
        application_id=application_id,
        instance_id=instance_id,
        person_id=person_id,
        status=status,
        seat=seat,
        role=role,
        vendor_id=vendor_id,
        usage="unused" if inactive_for is not None else usage,
        owner=owner,
        uploaded_by=uploaded_by,
        q=q,
        days_active_lt=days_active_lt,
        metadata=metadata,
    )


Wanted = Annotated[AccountFilter, Depends(account_filter)]
AccountPage = Annotated[Page, Depends(paging("name", "email", "last_active_at"))]


async def answer_accounts(request: Request, fetch: Fetch, page: Page, wanted: AccountFilter) -> Response:
    """A list of accounts, for every path that has one."""
    asked = Slice(page.limit, SORTS.get(page.sort), page.descending, page.after)
    items, last = await accounts.list_accounts(fetch, wanted, asked)
    total = await accounts.count_accounts(fetch, wanted) if page.count else None
    return list_answer(request, page, items, last=last, total=total)


@router.get("", operation_id="list_accounts", response_model=ListOf[AccountAnswer], dependencies=AS_VIEWER)
async def list_accounts(request: Request, fetch: Rows, page: AccountPage, wanted: Wanted) -> Response:
    """Accounts with their use in a window. `metadata.<key>=` filters by any of the vendor's fields."""
    return await answer_accounts(request, fetch, page, wanted)


@router.get("/{account_id}", operation_id="get_account", response_model=AccountAnswer)
async def get_account(
    request: Request,
    _caller: Viewer,
    fetch: Rows,
    account_id: UUID,
    window: Window = DEFAULT_WINDOW,
    as_of: AsOf = None,
) -> Response:
    """One account."""
    found = await accounts.find_account(fetch, account_id, parse_window(window, last_date(as_of)), as_of)
    if found is None:
        raise NotFound("There is no account with this id.")
    return answer(request, found)


@router.get("/{account_id}/activity", operation_id="get_account_activity", response_model=AccountActivityAnswer)
async def get_account_activity(
    request: Request,
    _caller: Viewer,
    database: Books,
    account_id: UUID,
    first: Annotated[Day | None, Query(alias="from", description="First date; 90 dates by default.")] = None,
    to: Annotated[Day | None, Query(description="Last date, today by default.")] = None,
) -> Response:
    """The days on which an account was used, as a list and as a calendar. At most 400 dates, both ends included."""
    found = await account_activity(database.pool, account_id, _span(first, to))
    if found is None:
        raise NotFound("There is no account with this id.")
    return answer(request, msgspec.json.encode(found))


def _span(first: dt.date | None, to: dt.date | None) -> Span:
    last = to or today()
    if not dt.date(1970, 1, 1) <= min(first or last, last):
        raise InvalidInput.parameter("from" if first else "to", "Dates begin with 1970-01-01.")
    span = Span(first, last) if first is not None else window(DEFAULT_CALENDAR_DAYS, last)
    if span.days < 1:
        raise InvalidInput.parameter("from", "This must not be later than `to`.")
    if span.days > LONGEST_WINDOW:
        raise InvalidInput.parameter("from", f"Ask for at most {LONGEST_WINDOW} dates at a time.")
    return span
