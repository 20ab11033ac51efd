"""Rows of contracts, exemptions and first syncs, beside those of the books."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.clock import now, today
from tests.api.books import Books

CREATOR = {"id": None, "name": "Seatwise", "email": None}


def before(days: int) -> datetime:
    """The time of so many days ago."""
    return now() - timedelta(days=days)


def day(days: int) -> date:
    """The date so many days from now."""
    return today() + timedelta(days=days)


class Licences(Books):
    """Books in which seats were bought and spared."""

    async def contract(self, application_id: UUID, **columns: Any) -> UUID:
        row = {
            "seats": 10, "price_per_seat": Decimal("12.50"), "currency": "EUR", "term": "monthly",
            "starts_on": day(-100), "created_by": CREATOR, **columns,
        }  # fmt: skip
        return await self._insert("contracts", application_id=application_id, **row)

    async def exemption(self, account_id: UUID, *, until: date | None = None, reason: str = "On leave") -> UUID:
        row = {"reason": reason, "until": until, "created_by": CREATOR}
        return await self._insert("licence_exemptions", account_id=account_id, **row)

    async def first_sync(self, instance_id: UUID, days_ago: int) -> UUID:
        """The initial sync of an instance, ended so many days ago."""
        return await self.sync(instance_id, finished_at=before(days_ago))
