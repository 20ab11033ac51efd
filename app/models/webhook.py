"""Where messages go, and what became of each on its way."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified

EMPTY_OBJECT = text("'{}'::jsonb")
EMPTY_LIST = text("'[]'::jsonb")


class Webhook(Identified, Dated, Base):
    """An endpoint that messages are posted to.

    auth             what is no secret of it: `{"type", "token_url", "client_id", "scope"}`.
    sealed           its secrets as JSON (`secret` or `client_secret`; `{}` for none).
    sealed_signing   JSON list of `{"secret": "whsec_…", "until"}`, newest first; `until` is null for the newest, else
                     when a rotated one no longer signs.
    failing_since    first failed attempt since the last success.
    delivery         `pages` or `link`: how report runs come.
    """

    __tablename__ = "webhooks"

    name: Mapped[str]
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    format: Mapped[str] = mapped_column(server_default="standard")
    auth: Mapped[dict[str, Any]]
    sealed: Mapped[str]
    sealed_signing: Mapped[str]
    token_expires_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="enabled")
    disabled_reason: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    max_message_bytes: Mapped[int]
    delivery: Mapped[str] = mapped_column(server_default="pages")
    link_ttl_seconds: Mapped[int]
    max_concurrency: Mapped[int]
    created_by: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)

    __table_args__ = (
        CheckConstraint("format IN ('standard', 'sailpoint_workflow')", name="format"),
        CheckConstraint("status IN ('enabled', 'disabled')", name="status"),
        CheckConstraint("disabled_reason IN ('gone', 'failing', 'user')", name="disabled_reason"),
        CheckConstraint("delivery IN ('pages', 'link')", name="delivery"),
    )


class WebhookToken(Base):
    """The access token that a webhook's client credentials have fetched, shared by all replicas."""

    __tablename__ = "webhook_tokens"

    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True)
    audience: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class Delivery(Identified, Dated, Base):
    """One message on its way to one webhook: all attempts, until it is acknowledged or given up.

    message_id       the `webhook-id` header: the event's id, or its own for a page or a part.
    event_id         the event that is told; null for pages of a report run. No foreign key: events are forgotten first.
    run_id           the report run that it is about, if any.
    series           deliveries of one series go out in the order of `page`, each after the one before was acknowledged.
    first_row, rows  which rows of the run, or of the event's list, this page holds (from 0); null: all, or none.
    link_until       end of the signed link, where the rows come as a link.
    attempts         list of `{"at", "status_code", "latency_ms", "error", "answer_excerpt"}`, oldest first.
    tries            attempts of the ladder that is being climbed; begins anew when it is sent again by hand.
    leased_until     while a process has it under way.
    """

    __tablename__ = "deliveries"

    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    message_id: Mapped[UUID]
    event: Mapped[str]
    event_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    series: Mapped[UUID | None]
    page: Mapped[int] = mapped_column(server_default=text("1"))
    pages: Mapped[int] = mapped_column(server_default=text("1"))
    first_row: Mapped[int | None]
    rows: Mapped[int | None]
    link_until: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    leased_until: Mapped[datetime | None]
    workflow_execution_id: Mapped[str | None]
    delivered_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="status"),
        Index("ix_deliveries_due", "webhook_id", "next_attempt_at", postgresql_where=text("status = 'pending'")),
        Index(
            "ix_deliveries_leased",
            "webhook_id",
            postgresql_where=text("status = 'pending' AND leased_until IS NOT NULL"),
        ),
        Index("ix_deliveries_series", "webhook_id", "series", "page", postgresql_where=text("series IS NOT NULL")),
        Index(None, "webhook_id", "id"),
        Index("ix_deliveries_run_id", "run_id", "webhook_id", postgresql_where=text("run_id IS NOT NULL")),
        Index(None, "created_at"),
    )
