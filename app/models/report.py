"""Saved questions, and their answers as they were at one time."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified

EMPTY_LIST = text("'[]'::jsonb")


class Report(Identified, Dated, Base):
    """A saved question.

    window   `"30d"`, or `{"from", "to"}` (dates, both included).
    filters  list of `{"field", "op", "value"}`, all of which must hold.
    outputs  list of `{"type": "webhook", "webhook_id"}` and
             `{"type": "email", "to", "format", "max_attachment_bytes"}`.
    """

    __tablename__ = "reports"

    name: Mapped[str] = mapped_column(unique=True)
    dataset: Mapped[str]
    columns: Mapped[list[str]]
    window: Mapped[Any] = mapped_column(JSONB)
    filters: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    sort: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    schedule: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    outputs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    next_run_at: Mapped[datetime | None]
    created_by: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))

    __table_args__ = (
        CheckConstraint("dataset IN ('accounts', 'people', 'applications')", name="dataset"),
        Index("ix_reports_due", "next_run_at", postgresql_where=text("next_run_at IS NOT NULL")),
    )


class ReportRun(Identified, Dated, Base):
    """One answer to a report. Once it has succeeded its rows never change.

    definition   name, dataset, columns, window, filters, sort and outputs as they were when it was asked for.
    window       `{"from", "to"}`; columns: the keys of its rows, in order.
    column_types of each column: text, integer, decimal, boolean, date or datetime.
    covered_until    time of the latest complete read of activity, as it was known then.
    erased_at    when a person was last taken out of its rows; digest is that of the rows since.
    output_failures  by place in the definition's outputs, in plain words: what could not be sent at all.
    digest       `sha256:…` of the rows as NDJSON.
    lease_until  while a process works on it; fence counts those who took it up, so that a late one writes nothing.
    """

    __tablename__ = "report_runs"

    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default="queued")
    trigger: Mapped[str]
    scheduled_for: Mapped[datetime | None]
    definition: Mapped[dict[str, Any]]
    as_of: Mapped[datetime | None]
    window: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    columns: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    column_types: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    covered_until: Mapped[datetime | None]
    total_rows: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    output_failures: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed')", name="status"),
        CheckConstraint("trigger IN ('manual', 'schedule')", name="trigger"),
        UniqueConstraint("report_id", "scheduled_for"),
        Index(None, "report_id", "id"),
        Index("ix_report_runs_unfinished", "id", postgresql_where=text("status IN ('queued', 'running')")),
        Index(None, "created_at"),
    )


class ReportChunk(Base):
    """A stretch of a run's rows, written out once, so that handing them out costs no more than reading them.

    run_id     no foreign key: a report with all its runs goes at once, what they held is removed in the background.
    first_row  number of its first row, from 0.
    rows       how many rows it has.
    ndjson     each row as a JSON object and a line feed.
    csv        each row as RFC 4180 has it, with its CRLF; texts that a spreadsheet would take for formulas are guarded.
    subjects   for each row the person it is about, null where there is none.
    """

    __tablename__ = "report_chunks"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_row: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]
    ndjson: Mapped[str]
    csv: Mapped[str]
    subjects: Mapped[list[UUID | None]] = mapped_column(ARRAY(Uuid()))


class ReportEmail(Identified, Dated, Base):
    """One run on its way to one address.

    output       place in the definition's outputs, from 0.
    attach_bytes largest file that is attached; a larger one is a link.
    message_id   of the mail's header; the same at each attempt.
    """

    __tablename__ = "report_emails"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("report_runs.id", ondelete="CASCADE"))
    output: Mapped[int] = mapped_column(SmallInteger)
    address: Mapped[str]
    format: Mapped[str]
    attach_bytes: Mapped[int]
    message_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    error: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("run_id", "output", "address"),
        CheckConstraint("format IN ('csv', 'xlsx')", name="format"),
        CheckConstraint("status IN ('pending', 'sent', 'failed', 'recorded')", name="status"),
        Index("ix_report_emails_due", "next_attempt_at", postgresql_where=text("status = 'pending'")),
    )
