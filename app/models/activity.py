"""Use as days: one row for each account and year, a bit for each day of it; coverage kept the same way."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, SmallInteger
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

DAYS_OF_YEAR = 366


class ActivityYear(Base):
    """The days of one year on which an account was used. Bit n (from 0, leftmost) is day n + 1 of the year.

    The application stands in the key, so that a window over an application reads one range and joins nothing;
    fillfactor leaves room for updates in place. No foreign key to the account: checking it would cost each write,
    and accounts are removed only with their activity.
    """

    __tablename__ = "activity_years"

    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id", ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    last_day: Mapped[date]
    days: Mapped[Any] = mapped_column(BIT(DAYS_OF_YEAR))

    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)


class CoverageYear(Base):
    """The days of one year for which an instance's activity was fully observed."""

    __tablename__ = "coverage_years"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    days: Mapped[Any] = mapped_column(BIT(DAYS_OF_YEAR))
