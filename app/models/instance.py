"""What is connected, with what, and each run of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified

EMPTY = text("'{}'::jsonb")


class Credential(Identified, Dated, Base):
    """A named set of secrets for one connector.

    sealed   the secrets, sealed together and bound to this row; for storage `local` the names of variables and
             files, which are no secrets but are kept the same way.
    proved   tenant and granted permissions of the last check that succeeded.
    """

    __tablename__ = "credentials"

    name: Mapped[str]
    connector: Mapped[str]
    scheme: Mapped[str]
    storage: Mapped[str]
    sealed: Mapped[str]
    secrets_set: Mapped[list[str]]
    client_id_last4: Mapped[str | None]
    options: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    owner: Mapped[str | None]
    expires_at: Mapped[datetime | None]
    proved: Mapped[dict[str, Any] | None]
    created_by: Mapped[dict[str, Any]]

    __table_args__ = (CheckConstraint("storage IN ('vault', 'local')", name="storage"),)


class VendorToken(Base):
    """The access token in use of a credential towards one audience, sealed, shared by all replicas."""

    __tablename__ = "vendor_tokens"

    credential_id: Mapped[UUID] = mapped_column(ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True)
    audience: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class VendorBudget(Base):
    """What is left of one vendor tenant's quota in one bucket, for all instances and replicas together."""

    __tablename__ = "vendor_budgets"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Instance(Identified, Dated, Base):
    """One configured connection.

    activity_cursor   where the next read of a polling log begins.
    covered_until     time of the latest complete read of activity.
    users_read_at     time of the latest complete read of users.
    skipped_fires     fires that came while a sync ran; the next one that is answered stands for them.
    leaving           its accounts count nowhere any more, and their rows are being removed.
    """

    __tablename__ = "instances"

    name: Mapped[str] = mapped_column(unique=True)
    connector: Mapped[str]
    credential_id: Mapped[UUID | None] = mapped_column(ForeignKey("credentials.id"), index=True)
    environment: Mapped[str | None]
    options: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    sync: Mapped[dict[str, Any]]
    schedule: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    mapping: Mapped[list[dict[str, Any]]] = mapped_column(JSONB())
    contacts: Mapped[list[str]]
    owner: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="draft")
    inactive_reason: Mapped[str | None]
    inactive_detail: Mapped[str | None]
    stale_since: Mapped[datetime | None]
    launched_at: Mapped[datetime | None]
    next_sync_at: Mapped[datetime | None]
    last_sync_id: Mapped[UUID | None]
    held_plan_id: Mapped[UUID | None]
    created_by: Mapped[dict[str, Any]]
    activity_cursor: Mapped[str | None]
    covered_until: Mapped[datetime | None]
    users_read_at: Mapped[datetime | None]
    skipped_fires: Mapped[int] = mapped_column(server_default=text("0"))
    leaving: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        CheckConstraint("status IN ('draft', 'live', 'inactive', 'deleting')", name="status"),
        Index("ix_instances_due", "next_sync_at", postgresql_where=text("status = 'live'")),
        Index("ix_instances_leaving", "id", postgresql_where=text("leaving")),
    )


class Sync(Identified, Dated, Base):
    """One run of an instance. Its row is the lease too: who holds `fence` may write, until `lease_until`."""

    __tablename__ = "syncs"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default="queued")
    trigger: Mapped[str]
    scheduled_for: Mapped[datetime | None]
    missed_fires: Mapped[int] = mapped_column(server_default=text("0"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    counters: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    waiting: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    vendor_calls: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    throttled_seconds: Mapped[float] = mapped_column(server_default=text("0"))
    held_plan_id: Mapped[UUID | None]
    created_by: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    worker: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        Index(
            "uq_syncs_one_unfinished",
            "instance_id",
            unique=True,
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        Index(None, "instance_id", "id"),
        UniqueConstraint("instance_id", "scheduled_for"),
    )


class SyncRead(Base):
    """How far one stream of a sync, or one scope of it, has been read: the checkpoint and the proof of completeness.

    scope_id   the application or group whose assignments were read; '' for the other streams.
    seen       distinct records noted in sync_seen; a smaller count there means that the notes were lost.
    since, until   the span of time asked for, of an activity read.
    """

    __tablename__ = "sync_reads"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sync_id: Mapped[UUID] = mapped_column(ForeignKey("syncs.id", ondelete="CASCADE"))
    stream: Mapped[str]
    scope_id: Mapped[str] = mapped_column(server_default="")
    cursor: Mapped[str | None]
    done: Mapped[bool] = mapped_column(server_default=text("false"))
    seen: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("sync_id", "stream", "scope_id"),)


class SyncSeen(Base):
    """Which users a read has met: a note for judging absence, not a book. Unlogged, so that it costs no WAL."""

    __tablename__ = "sync_seen"

    read_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    vendor_id: Mapped[str] = mapped_column(primary_key=True)

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)


class SyncError(Base):
    """A record that a sync could not use."""

    __tablename__ = "sync_errors"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sync_id: Mapped[UUID] = mapped_column(ForeignKey("syncs.id", ondelete="CASCADE"))
    stream: Mapped[str]
    vendor_id: Mapped[str | None]
    code: Mapped[str]
    detail: Mapped[str]

    __table_args__ = (Index(None, "sync_id", "id"),)
