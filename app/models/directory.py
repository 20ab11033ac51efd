"""The books: people, applications, accounts, and their history."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Dated, Identified

EMPTY = text("'{}'::jsonb")


class Person(Identified, Dated, Base):
    """One human. Tied by `email` (trimmed, lower case); without one, by `anchor`, which names one vendor's user.

    source_instance_id, source_vendor_id   the vendor user whose name and fields the person bears, so that two
                                           sources do not overwrite each other at each turn.
    """

    __tablename__ = "people"

    email: Mapped[str | None]
    anchor: Mapped[str | None] = mapped_column(unique=True)
    name: Mapped[str]
    username: Mapped[str | None]
    given_name: Mapped[str | None]
    family_name: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    role: Mapped[str | None]
    owner: Mapped[str | None]
    restrict_access: Mapped[bool] = mapped_column(server_default=text("false"))
    uploaded_by: Mapped[str | None]
    fields: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    source_instance_id: Mapped[UUID | None] = mapped_column(ForeignKey("instances.id", ondelete="SET NULL"), index=True)
    source_vendor_id: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("status IN ('active', 'inactive')", name="status"),
        Index("uq_people_email", "email", unique=True, postgresql_where=text("email IS NOT NULL")),
        Index("ix_people_name", text('lower(name) COLLATE "C"'), "id"),
        Index("ix_people_lower_email", text('lower(email) COLLATE "C"')),
        Index("ix_people_username", text('lower(username) COLLATE "C"')),
    )


class VendorUser(Dated, Base):
    """One user as one instance's vendor lists them; what accounts of that user are filled from.

    listed     whether the last complete read had this user.
    absences   complete reads in a row without this user.
    person_username, given_name, family_name, person_fields   what a person of which this user is the source bears.
    """

    __tablename__ = "vendor_users"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True)
    vendor_id: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), index=True)
    username: Mapped[str | None]
    email: Mapped[str | None]
    name: Mapped[str]
    active: Mapped[bool]
    listed: Mapped[bool] = mapped_column(server_default=text("true"))
    absences: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    vendor_status: Mapped[str | None]
    role: Mapped[str | None]
    # `metadata` is taken by the declarative base.
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=EMPTY)
    fields: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    person_username: Mapped[str | None]
    given_name: Mapped[str | None]
    family_name: Mapped[str | None]
    person_fields: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)


class CatalogEntry(Identified, Dated, Base):
    """A well-known application, to which detected and integrated applications are tied.

    domains       where it is at home (`slack.com`), lower case.
    definitions   the keys that Okta's integration network gives it.
    """

    __tablename__ = "catalog"

    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    vendor: Mapped[str | None]
    category: Mapped[str | None]
    domains: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    definitions: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))


class Application(Identified, Dated, Base):
    """A SaaS application of one instance.

    key    what makes it one record within the instance: '' for the integrated one, `entry:<vendor id>` or
           `definition:<key>` for a detected one, as `sync.detection` says; `split:<vendor id>` for one that a
           person split off.
    named, catalog_chosen   whether a person said the name or the catalogue entry; syncs leave those alone.
    """

    __tablename__ = "applications"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"))
    key: Mapped[str]
    kind: Mapped[str]
    vendor_id: Mapped[str | None]
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")
    access: Mapped[str | None]
    listed: Mapped[bool] = mapped_column(server_default=text("true"))
    catalog_id: Mapped[UUID | None] = mapped_column(ForeignKey("catalog.id", ondelete="SET NULL"), index=True)
    owner: Mapped[str | None]
    category: Mapped[str | None]
    uploaded_by: Mapped[str | None]
    named: Mapped[bool] = mapped_column(server_default=text("false"))
    catalog_chosen: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        CheckConstraint("kind IN ('integrated', 'detected')", name="kind"),
        CheckConstraint("status IN ('active', 'inactive')", name="status"),
        UniqueConstraint("instance_id", "key"),
        Index("ix_applications_name", text('lower(name) COLLATE "C"'), "id"),
    )


class ApplicationEntry(Base):
    """One entry that a sign-on provider lists, and the application whose seats it holds.

    placed       whether a person put it there, by a split or a merge; syncs leave it there.
    bypass_kind  the vendor's word for a way of signing on that does not need the provider, else null.
    domain       host of the application where the vendor tells it.
    """

    __tablename__ = "application_entries"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True)
    vendor_id: Mapped[str] = mapped_column(primary_key=True)
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id", ondelete="CASCADE"), index=True)
    label: Mapped[str]
    definition: Mapped[str]
    active: Mapped[bool]
    access: Mapped[str]
    groups: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    groups_match: Mapped[str] = mapped_column(server_default="any")
    listed: Mapped[bool] = mapped_column(server_default=text("true"))
    placed: Mapped[bool] = mapped_column(server_default=text("false"))
    bypass_kind: Mapped[str | None]
    domain: Mapped[str | None]


class Account(Identified, Dated, Base):
    """One vendor user's seat in one application.

    last_seen_at     null while the seat stands: then it was seen at the instance's latest complete read.
    deactivated_at   when it went from active to inactive, null while active.
    sync_id          the sync that changed it last.
    bypass_evidence  why the sign-on provider may be bypassed, list of `{"kind", "detail"}`; null where nothing says so.
    """

    __tablename__ = "accounts"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id", ondelete="CASCADE"))
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id", ondelete="CASCADE"))
    vendor_id: Mapped[str]
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), index=True)
    username: Mapped[str | None]
    email: Mapped[str | None]
    name: Mapped[str]
    role: Mapped[str | None]
    seat: Mapped[str]
    status: Mapped[str]
    vendor_status: Mapped[str | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=EMPTY)
    fields: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    assigned_at: Mapped[datetime | None]
    last_active_at: Mapped[datetime | None]
    first_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_seen_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
    absences: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    sync_id: Mapped[UUID | None]
    bypass_evidence: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (
        CheckConstraint("seat IN ('assigned', 'entitled', 'unknown', 'none')", name="seat"),
        CheckConstraint("status IN ('active', 'inactive')", name="status"),
        UniqueConstraint("application_id", "vendor_id"),
        Index(None, "instance_id", "vendor_id"),
        Index(None, "instance_id", "id"),
        Index("ix_accounts_name", text('lower(name) COLLATE "C"'), "id"),
        Index("ix_accounts_email", text('lower(email) COLLATE "C"'), "id"),
        Index("ix_accounts_username", text('lower(username) COLLATE "C"')),
        Index(None, "application_id", "id"),
        Index(None, "role", "id", postgresql_where=text("role IS NOT NULL")),
        Index("ix_accounts_without_seat", "application_id", postgresql_where=text("seat = 'none'")),
        Index("ix_accounts_bypass", "id", postgresql_where=text("bypass_evidence IS NOT NULL")),
        # Room for each day's `last_active_at`, which no index holds: such updates stay in place.
        {"postgresql_with": {"fillfactor": 85}},
    )


class History(Base):
    """One change to a record of the books: who, when, by which sync, and the fields that changed.

    before, after   only the fields that differ; a creation has null before and the main fields after.
    joined_from      the account whose history it was before it was joined into this one.
    """

    __tablename__ = "history"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    kind: Mapped[str]
    object_id: Mapped[UUID]
    name: Mapped[str]
    action: Mapped[str]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    instance_id: Mapped[UUID | None]
    sync_id: Mapped[UUID | None]
    joined_from: Mapped[UUID | None]
    actor: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (
        Index(None, "object_id", "id"),
        Index(None, "sync_id", "id"),
    )
