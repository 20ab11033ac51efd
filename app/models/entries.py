"""Who belongs to which entry, where an application has several: what a split goes by."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, SmallInteger
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
