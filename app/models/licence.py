"""What was bought for an application, and which of its seats are spared."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified


class Contract(Identified, Dated, Base):
    """Seats bought for one application.

    price_per_seat  for one month or one year, as `term` says.
    renews_on       first date after the term that was agreed; null where none was.
    grace_days      for how many days after its assignment a seat is spared.
    """

    __tablename__ = "contracts"

    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id", ondelete="CASCADE"))
    seats: Mapped[int]
    price_per_seat: Mapped[Decimal] = mapped_column(Numeric(16, 4))
    currency: Mapped[str]
    term: Mapped[str]
    starts_on: Mapped[date]
    renews_on: Mapped[date | None]
    grace_days: Mapped[int] = mapped_column(server_default=text("30"))
    created_by: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint("seats >= 0", name="seats"),
        CheckConstraint("price_per_seat >= 0", name="price_per_seat"),
        CheckConstraint("term IN ('monthly', 'annual')", name="term"),
        CheckConstraint("renews_on > starts_on", name="renews_on"),
        CheckConstraint("grace_days BETWEEN 0 AND 3650", name="grace_days"),
        UniqueConstraint("application_id", "starts_on"),
    )


class LicenceExemption(Identified, Dated, Base):
    """A seat that is not to be taken back, whatever its use.

    until  the last date on which that holds; null: for good.
    """

    __tablename__ = "licence_exemptions"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), unique=True)
    reason: Mapped[str]
    until: Mapped[date | None]
    created_by: Mapped[dict[str, Any]]
