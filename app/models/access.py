"""Who may come in, what they changed, and what they were answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified


class ApiKey(Identified, Dated, Base):
    """A key of a program or person; only the SHA-256 of it is kept.

    instance_id   the one instance that a key with the role `ingest` may hand records to; null for all other roles.
    """

    __tablename__ = "api_keys"

    name: Mapped[str]
    role: Mapped[str]
    email: Mapped[str | None]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    instance_id: Mapped[UUID | None] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"), index=True)

    __table_args__ = (
        CheckConstraint("role IN ('ingest', 'viewer', 'operator', 'admin')", name="role"),
        CheckConstraint("(role = 'ingest') = (instance_id IS NOT NULL)", name="ingest"),
    )


class KeyUse(Base):
    """How many requests a caller has made within one minute of the Unix epoch. Unlogged: a crash forgets a minute."""

    __tablename__ = "key_uses"

    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uses: Mapped[int]

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)


class SigningKey(Base):
    """A key that signs what the service issues (access tokens), sealed; one row per purpose and version."""

    __tablename__ = "signing_keys"

    purpose: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class AuditEvent(Identified, Base):
    """One change: who, what, when, from where, before and after with secrets masked.

    A trigger refuses updates and deletes. Each month is a partition, which leaves whole.
    """

    __tablename__ = "audit_events"

    at: Mapped[datetime] = mapped_column(primary_key=True, server_default=text("now()"))
    actor: Mapped[dict[str, Any]]
    action: Mapped[str]
    resource_type: Mapped[str]
    resource_id: Mapped[str | None]
    resource_name: Mapped[str | None]
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

    __table_args__ = (
        Index(None, "action", "id"),
        Index(None, "resource_id", "id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )


class IdempotencyRecord(Base):
    """The first answer to a POST with an Idempotency-Key, sealed, kept for 24 hours."""

    __tablename__ = "idempotency_records"

    caller: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    status: Mapped[int]
    sealed_answer: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)


class Listener(Base):
    """An address that `serve` listened on. Where no public URL is set, links begin with the latest."""

    __tablename__ = "listeners"

    url: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Tick(Base):
    """When each process last ticked; `/readyz` and the operator's eyes read it."""

    __tablename__ = "ticks"

    process: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)
