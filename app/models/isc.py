"""What ties the books to SailPoint Identity Security Cloud (ISC): mappings of sources, and the accounts these list."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified


class SourceMapping(Identified, Dated, Base):
    """One source of an ISC tenant, tied to one application of one instance.

    tenant_id            the credential of the connector `sailpoint-isc`.
    source_environment   what a person said it is; null where the credential's option or the source's name tells.
    accounts_read_at     when the accounts of the source were last read whole.
    accounts_tried_at    when that was last begun.
    accounts_matched_at  when they were last matched with the application's accounts; null where that is due at once.
    failure              why the latest read failed, `{"code", "detail"}`; null after one that did not.
    """

    __tablename__ = "source_mappings"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("credentials.id"))
    source_id: Mapped[str]
    source_name: Mapped[str]
    source_type: Mapped[str | None]
    source_environment: Mapped[str | None]
    allow_environment_mismatch: Mapped[bool] = mapped_column(server_default=text("false"))
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id", ondelete="CASCADE"), index=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"), index=True)
    accounts_read_at: Mapped[datetime | None]
    accounts_tried_at: Mapped[datetime | None]
    accounts_matched_at: Mapped[datetime | None]
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_by: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint("source_environment IN ('production', 'staging', 'development')", name="source_environment"),
        UniqueConstraint("tenant_id", "source_id", "application_id"),
        Index(None, "source_id"),
    )


class IscAccount(Base):
    """One account of a mapped source, as ISC listed it at its latest whole read.

    vendor_id   ISC's own id of the account; `native_identity` is the source's.
    account_id  the application's account that it is, null where none fits; within a mapping no account stands twice.
                No foreign key: an account that left the books is found no more, and that is all it would say.
    seen_at     when the read began that listed it last.
    """

    __tablename__ = "isc_accounts"

    mapping_id: Mapped[UUID] = mapped_column(ForeignKey("source_mappings.id", ondelete="CASCADE"), primary_key=True)
    vendor_id: Mapped[str] = mapped_column(primary_key=True)
    native_identity: Mapped[str]
    name: Mapped[str | None]
    mail: Mapped[str | None]
    account_id: Mapped[UUID | None]
    seen_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_isc_accounts_native_identity", "mapping_id", text('lower(native_identity) COLLATE "C"')),
        Index("ix_isc_accounts_mail", "mapping_id", text('lower(mail) COLLATE "C"')),
        Index("ix_isc_accounts_account_id", "account_id", postgresql_where=text("account_id IS NOT NULL")),
    )
