"""What is known of a vendor's entries: who belongs to which, where an application has several, which a split goes by;
and uses of what no list has yet.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, SmallInteger
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.orm import Mapped, mapped_column

from app.models.activity import DAYS_OF_YEAR
from app.models.base import Base


def _of_an_entry() -> ForeignKeyConstraint:
    # Named by its first column like every key, which the convention does for single columns only.
    return ForeignKeyConstraint(
        ["instance_id", "entry_id"],
        ["application_entries.instance_id", "application_entries.vendor_id"],
        ondelete="CASCADE",
    )


class EntryUser(Base):
    """A user with a seat in one of several entries of an application, as the latest complete read showed it."""

    __tablename__ = "entry_users"

    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)

    __table_args__ = (_of_an_entry(),)


class EntryYear(Base):
    """The days of one year on which a user used one of several entries of an application, as in ActivityYear."""

    __tablename__ = "entry_years"

    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    last_at: Mapped[datetime]
    days: Mapped[Any] = mapped_column(BIT(DAYS_OF_YEAR))

    __table_args__ = (_of_an_entry(),)


class StrayUse(Base):
    """A use by somebody, or of something, that the lists of its sync did not have: for the next sync to place."""

    __tablename__ = "stray_uses"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    entry_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    sync_id: Mapped[UUID]
