"""Which people were to be taken out of the tables, and how far that is."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Erasure(Base):
    """One person's erasure. No foreign key: it is done to its end also where the person left the books meanwhile.

    erased_at  when the books forgot the person: what was read before that brings nothing of them back.
    sealed     ids and names that are looked for in the other tables, while that goes on; nothing before and afterwards.
    """

    __tablename__ = "erasures"

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    erased_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    sealed: Mapped[str]

    __table_args__ = (Index("ix_erasures_unfinished", "asked_at", postgresql_where=text("finished_at IS NULL")),)
