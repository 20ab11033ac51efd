"""Contracts: how many seats were bought, at what price, until when."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from sqlalchemy import func

from app.access.audit import audit
from app.api.accounts import Day
from app.api.deps import Admin, Session, Viewer
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import Body, Creator, Resource, answer, require_match, unset
from app.api.unit_of_work import Route
from app.core.clock import today
from app.licences import contracts
from app.licences.seats import DEFAULT_GRACE_DAYS
from app.models import Contract

router = APIRouter(prefix="/v1/contracts", tags=["Licences"], route_class=Route)

_PRICE = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?", re.ASCII)


def _as_price(value: object) -> Decimal:
    if isinstance(value, str) and _PRICE.fullmatch(value):
        return Decimal(value)
    raise ValueError('This is a decimal number in quotes with at most four places, such as "12.50".')


def _shown_price(price: Decimal) -> str:
    """Two decimals at least, and no zeros beyond them."""
    whole, _, places = f"{price:.4f}".partition(".")
    return f"{whole}.{places[:2]}{places[2:].rstrip('0')}"


Price = Annotated[
    Decimal,
    BeforeValidator(_as_price),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{_PRICE.pattern}$",
            "description": "A decimal number, four places at most.",
            "examples": ["12.50"],
        }
    ),
]
PriceAnswer = Annotated[
    Decimal, PlainSerializer(_shown_price), WithJsonSchema({"type": "string", "examples": ["12.50"]})
]
Seats = Annotated[int, Field(strict=True, ge=0, le=100_000_000, examples=[250])]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="A code of ISO 4217.", examples=["EUR"])]
Term = Literal["monthly", "annual"]
GraceDays = Annotated[
    int,
    Field(strict=True, ge=0, le=3650, description="For so many days after its assignment a seat is not reclaimed."),
]
StartsOn = Annotated[Day, Field(description="First date.", examples=["2026-01-01"])]
RenewsOn = Annotated[
    Day | None,
    Field(
        description="First date after the agreed term. Once it has passed the contract goes on until another starts.",
        examples=["2027-01-01"],
    ),
]


class NewContract(Body):
    """A contract for the seats of one application."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "application_id": "0199f5a1-7c3e-7a51-9d0c-6a1f8e2b4c77",
                    "seats": 250,
                    "price_per_seat": "12.50",
                    "currency": "EUR",
                    "term": "monthly",
                    "starts_on": "2026-01-01",
                    "renews_on": "2027-01-01",
                }
            ]
        }
    )

    application_id: UUID
    seats: Seats
    price_per_seat: Price
    currency: Currency
    term: Term = Field(description="For which time the price is: a month or a year.")
    starts_on: StartsOn
    renews_on: RenewsOn = None
    grace_days: GraceDays = DEFAULT_GRACE_DAYS


class ContractPatch(Body):
    """A merge patch. The application stays as it was."""

    seats: Seats = Field(default_factory=unset)
    price_per_seat: Price = Field(default_factory=unset)
    currency: Currency = Field(default_factory=unset)
    term: Term = Field(default_factory=unset)
    starts_on: StartsOn = Field(default_factory=unset)
    renews_on: RenewsOn = None
    grace_days: GraceDays = Field(default_factory=unset)


class ContractAnswer(Resource):
    """Seats bought for one application."""

    application_id: UUID
    seats: int = Field(examples=[250])
    price_per_seat: PriceAnswer
    currency: str = Field(examples=["EUR"])
    term: Term
    starts_on: dt.date = Field(examples=["2026-01-01"])
    renews_on: dt.date | None = Field(examples=["2027-01-01"])
    grace_days: int = Field(examples=[30])
    created_by: Creator


class Money(BaseModel):
    """An amount for one month or one year."""

    amount: str = Field(description="Decimal with two places.", examples=["150.00"])
    currency: str = Field(examples=["EUR"])
    per: Literal["month", "year"]


def shown(contract: Contract) -> ContractAnswer:
    return ContractAnswer.model_validate(contract)


def _name(contract: Contract) -> str:
    return f"{contract.seats} seats from {contract.starts_on}"


@router.get("", operation_id="list_contracts", response_model=ListOf[ContractAnswer])
async def list_contracts(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("starts_on", "renews_on"))],
    application_id: UUID | None = None,
    renewing_within: Annotated[
        str | None,
        Query(
            pattern=r"^[1-9][0-9]{0,3}d$",
            description="Those that renew today or within so many days.",
            examples=["60d"],
        ),
    ] = None,
) -> Response:
    """Contracts, newest first. Sorted by `renews_on`, those without a renewal stand at the far end."""
    statement = contracts.known(application_id)
    if renewing_within is not None:
        statement = contracts.renewing(statement, today(), int(renewing_within.removesuffix("d")))
    # As text, as cursors hold them; no date is later than the one that stands for none.
    sorts = {
        "starts_on": func.to_char(Contract.starts_on, "YYYY-MM-DD").collate("C"),
        "renews_on": func.coalesce(func.to_char(Contract.renews_on, "YYYY-MM-DD"), "never").collate("C"),
    }
    found = await select_page(session, statement, page, identity=Contract.id, sorts=sorts)
    return list_answer(request, page, [shown(each) for each in found.items], last=found.last, total=found.total)


@router.post(
    "", operation_id="create_contract", status_code=201, response_model=ContractAnswer, responses=problems(409)
)
async def create_contract(request: Request, caller: Admin, session: Session, body: NewContract) -> Response:
    """Say what was bought. Terms of one application do not overlap: 409 with the other contract in `contracts`."""
    contract = await contracts.create(session, body.model_dump(), by=caller)
    made = shown(contract)
    audit(session, caller, request, "contract.created", "contract", made.id, _name(contract), None, made.model_dump())
    return answer(request, made, 201, location=f"{router.prefix}/{made.id}")


@router.get("/{contract_id}", operation_id="get_contract", response_model=ContractAnswer)
async def get_contract(request: Request, _caller: Viewer, session: Session, contract_id: UUID) -> Response:
    """One contract."""
    return answer(request, shown(await contracts.get(session, contract_id)))


@router.patch("/{contract_id}", operation_id="update_contract", response_model=ContractAnswer, responses=problems(409))
async def update_contract(
    request: Request, caller: Admin, session: Session, contract_id: UUID, body: ContractPatch
) -> Response:
    """Change a contract by a JSON merge patch; 409 as when it is made."""
    contract = await contracts.get(session, contract_id, lock=True)
    before = shown(contract)
    require_match(request, before)
    await contracts.change(session, contract, body.sent())
    after = shown(contract)
    told = (before.model_dump(), after.model_dump())
    audit(session, caller, request, "contract.updated", "contract", after.id, _name(contract), *told)
    return answer(request, after)


@router.delete("/{contract_id}", operation_id="delete_contract", status_code=204, response_class=Response)
async def delete_contract(request: Request, caller: Admin, session: Session, contract_id: UUID) -> Response:
    """Delete a contract, as if it had never been."""
    contract = await contracts.get(session, contract_id, lock=True)
    before = shown(contract)
    require_match(request, before)
    await contracts.delete(session, contract)
    audit(session, caller, request, "contract.deleted", "contract", before.id, _name(contract), before.model_dump())
    return Response(status_code=204)
