"""Custom target fields of people and accounts."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified


class CustomField(Identified, Dated, Base):
    """A field that mappings fill as `account.<key>` or `person.<key>`; `choices` with type `choice` only."""

    __tablename__ = "fields"

    kind: Mapped[str]
    key: Mapped[str]
    title: Mapped[str]
    type: Mapped[str]
    choices: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (
        CheckConstraint("kind IN ('account', 'person')", name="kind"),
        CheckConstraint("type IN ('text', 'number', 'boolean', 'date', 'datetime', 'choice')", name="type"),
        UniqueConstraint("kind", "key"),
    )
