"""What happened, for others to follow, and what people are told of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified


class Event(Identified, Base):
    """Something that happened. The id is the message's, wherever it is sent.

    position   place in commit order, given in a step of its own after the commit; null until then.
    """

    __tablename__ = "events"

    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)

    __table_args__ = (
        Index("ix_events_unnumbered", "id", postgresql_where=text("position IS NULL")),
        Index(None, "at"),
    )


class NotificationRecipient(Base):
    """An address that is told everything, in the order in which the addresses were given."""

    __tablename__ = "notification_recipients"

    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    email: Mapped[str] = mapped_column(unique=True)


class Notification(Identified, Dated, Base):
    """One change of state that people are told of.

    key           names the change of state, so that it is told once.
    instance_id   no foreign key: what was told stays when the instance is gone.
    """

    __tablename__ = "notifications"

    key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    instance_id: Mapped[UUID | None]
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str]
    read_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "instance_id", "id"), Index(None, "kind", "id"))


class NotificationEmail(Identified, Dated, Base):
    """One notification on its way to one address.

    message_id   of the mail's header; the same at each attempt, so that a repeated mail is recognised.
    """

    __tablename__ = "notification_emails"

    notification_id: Mapped[UUID] = mapped_column(ForeignKey("notifications.id", ondelete="CASCADE"))
    address: Mapped[str]
    message_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    error: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("notification_id", "address"),
        CheckConstraint("status IN ('pending', 'sent', 'failed', 'recorded')", name="status"),
        Index("ix_notification_emails_due", "next_attempt_at", postgresql_where=text("status = 'pending'")),
    )
