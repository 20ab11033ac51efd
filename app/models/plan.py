"""What a sync would do, kept to be looked at and then done, or let go."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified

EMPTY = text("'{}'::jsonb")


class Plan(Identified, Dated, Base):
    """One plan. While it is `planning` its row is the lease of its job, as a sync's is.

    reason          why a sync held it back; null for a plan that was asked for.
    sync_id         the sync that held it; once it is applied, the sync that does so.
    counts          accounts by action.
    settings        digest of the instance's settings that it was made with.
    read_at         when its read began.
    based_at        as of when it compares with the books.
    seen_until      of a held one: the latest complete read in which its seats still stood.
    gone_entries    of a held one: the vendor's ids of entries to be listed no longer.
    """

    __tablename__ = "plans"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"))
    sync_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(server_default="planning")
    reason: Mapped[str | None]
    digest: Mapped[str | None]
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_by: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    settings: Mapped[str | None]
    read_at: Mapped[datetime | None]
    based_at: Mapped[datetime | None]
    seen_until: Mapped[datetime | None]
    gone_entries: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    worker: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint(
            "status IN ('planning', 'ready', 'held', 'applied', 'superseded', 'discarded', 'failed')", name="status"
        ),
        CheckConstraint("reason IN ('limit', 'zero_rows')", name="reason"),
        Index("uq_plans_one_planning", "instance_id", unique=True, postgresql_where=text("status = 'planning'")),
        Index(None, "instance_id", "id"),
        Index("ix_plans_sync_id", "sync_id", postgresql_where=text("sync_id IS NOT NULL")),
    )


class PlanPage(Base):
    """One page of a plan's read.

    scope_id   the application or group whose assignments it tells; '' for the other streams.
    cursor     where the vendor goes on after it.
    """

    __tablename__ = "plan_pages"

    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plans.id", ondelete="CASCADE"), primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    scope_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    cursor: Mapped[str | None]
    last: Mapped[bool]
    payload: Mapped[bytes]


class PlanChange(Base):
    """One change of a plan, as the history will tell it.

    object_id     null for what does not exist yet.
    application   name of the account's application.
    history_id    the object's latest change when the plan was made; a later one makes the plan old.
    """

    __tablename__ = "plan_changes"

    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plans.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    action: Mapped[str]
    object_id: Mapped[UUID | None]
    vendor_id: Mapped[str | None]
    name: Mapped[str]
    email: Mapped[str | None]
    application: Mapped[str | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    history_id: Mapped[int | None] = mapped_column(BigInteger)
