"""What the seats that nobody uses cost: contracts for the most wasteful applications, and the bill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rich.table import Column, Table

from app.demo.client import DemoClient
from app.demo.seats import WINDOW, Use

CURRENCY = "EUR"
# Invented prices of a seat per month, the most wasteful application's first.
PRICES = ("18.00", "9.50", "24.00", "6.75", "31.00", "12.25")
_BOUGHT_BY = 25
_TERM = timedelta(days=365)
_SIGNED_AGO = timedelta(days=200)


@dataclass(frozen=True, slots=True)
class Bill:
    """Seats of one application, and what those in nobody's use cost in a month."""

    name: str
    bought: int
    used: int
    unused: int
    unknown: int
    cost: Decimal


async def sign_contracts(api: DemoClient, uses: list[Use]) -> list[Use]:
    """A contract for each of the first applications, with seats bought by the 25; gives those applications."""
    bound = uses[: len(PRICES)]
    for use, price in zip(bound, PRICES, strict=False):
        await api.post("/v1/contracts", {"application_id": use.application_id, **_terms(use.seats, price)})
    return bound


def _terms(seats: int, price: str) -> dict[str, str | int]:
    starts: date = datetime.now(UTC).date() - _SIGNED_AGO
    return {
        "seats": -(-seats // _BOUGHT_BY) * _BOUGHT_BY,
        "price_per_seat": price,
        "currency": CURRENCY,
        "term": "monthly",
        "starts_on": starts.isoformat(),
        "renews_on": (starts + _TERM).isoformat(),
    }


async def read_bills(api: DemoClient, uses: list[Use], instances: dict[str, str]) -> list[Bill]:
    """instances: names by id; each application is named with its own."""
    bills = []
    for use in uses:
        seats = await api.get(f"/v1/applications/{use.application_id}/licences", window=WINDOW)
        bill = Bill(
            name=f"{use.name} ({instances[use.instance_id]})",
            bought=seats["seats_bought"],
            used=seats["used"],
            unused=seats["unused"],
            unknown=seats["unknown"],
            cost=Decimal(seats["cost_of_unused"]["amount"]),
        )
        bills.append(bill)
    return bills


def bills_table(bills: list[Bill]) -> Table:
    titles = ("Seats bought", "Used", "Unused", "Unknown", "Cost of the unused per month")
    table = Table(
        "Application", *(Column(title, justify="right") for title in titles), title="What nobody uses, and costs"
    )
    for bill in bills:
        figures = (f"{figure:,}" for figure in (bill.bought, bill.used, bill.unused, bill.unknown))
        table.add_row(bill.name, *figures, f"{bill.cost:,.2f} {CURRENCY}")
    return table
