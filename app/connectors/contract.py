"""What a connector is: it lists, page by page. It never stores, retries or schedules.

Past this contract there are no vendor's words: only User, Application, Assignment and Use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

Access = Literal["assigned", "groups", "open", "admins"]
GroupsMatch = Literal["any", "all"]
StreamName = Literal["users", "applications", "assignments", "activity"]
STREAMS: tuple[StreamName, ...] = ("users", "applications", "assignments", "activity")


class User(msgspec.Struct, frozen=True, gc=False):
    """One user as the vendor lists them, in whatever status. Empty strings have become None.

    active         whether the vendor lets this user work (Okta: neither DEPROVISIONED nor SUSPENDED ...).
    vendor_status  the vendor's word for it, None where it has none.
    role           the vendor's own role of the user, None where it has none.
    metadata       the vendor's fields under their documented keys (snake_case); values are JSON scalars or lists.
    raw            the record's bytes as received; decoded only when a mapping or filter names a path in it.
    """

    vendor_id: str
    username: str | None
    email: str | None
    name: str | None
    given_name: str | None
    family_name: str | None
    active: bool
    vendor_status: str | None
    role: str | None
    metadata: dict[str, Any]
    raw: bytes


class Application(msgspec.Struct, frozen=True, gc=False):
    """One application entry that a sign-on provider lists.

    name          the entry's label, as its users see it.
    definition    the key of the kind of application (Okta: `name`); equal to vendor_id where there is none.
    access        who may use it: those assigned, members of groups, everybody (`open`), administrators.
    groups        ids of the groups, with access `groups` only.
    own           True for the vendor's own entries (consoles, dashboards), left out unless asked for.
    bypass_kind   the vendor's word for a way of signing on that does not need the provider (a filled-in password, a
                  mere link), None where signing on leads through it.
    domain        host at which the application is, in lower case, None where the vendor does not tell it.
    """

    vendor_id: str
    name: str
    definition: str
    active: bool
    access: Access
    groups: tuple[str, ...] = ()
    groups_match: GroupsMatch = "any"
    own: bool = False
    bypass_kind: str | None = None
    domain: str | None = None


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """One user in one scope: an application of access `assigned`, or a group of an application of access `groups`.

    scope_id     the vendor's id of that application or group.
    assigned_at  when the vendor says the seat was given, None where it does not.
    """

    scope_id: str
    user_id: str
    assigned_at: datetime | None = None


class Use(msgspec.Struct, frozen=True, gc=False):
    """One use of an application by a user, at an aware UTC time."""

    application_id: str
    user_id: str
    at: datetime


class Rejected(msgspec.Struct, frozen=True):
    """A record that cannot be used. `code` is snake_case (`no_identity`, `unreadable_record`)."""

    vendor_id: str | None
    code: str
    detail: str


T_co = TypeVar("T_co", covariant=True)


class Page(msgspec.Struct, Generic[T_co], frozen=True):
    """One page of a stream.

    cursor    where to go on after this page; None on the last page of a stream that ends. An activity stream's last
              page may keep one: the next sync begins there.
    last      True on the stream's last page.
    expected  total records of the stream where the vendor tells it, else None.
    ignored   entries of the answer that are no records of the stream (events of other kinds), for counting only.
    """

    records: Sequence[T_co]
    last: bool
    cursor: str | None = None
    rejected: Sequence[Rejected] = ()
    expected: int | None = None
    ignored: int = 0


class Check(msgspec.Struct, frozen=True):
    """What a credential reveals when tried. `granted`, `missing` and `warnings` are in the vendor's own words
    (role names, scopes); `tenant` and `subject` say whose it is. `code` and `detail` tell why it is not ok.
    """

    ok: bool
    tenant: str | None
    subject: str | None
    granted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    code: str | None = None
    detail: str = ""


def shown_client(client_id: str | None) -> str | None:
    """A client as a check's `subject`: by the last four characters of its id, for the id goes in with the secrets."""
    return None if client_id is None else f"…{client_id[-4:]}"


class Connector(Protocol):
    """One vendor, one tenant, one credential. All methods raise app.core.errors.VendorError.

    Each stream starts at its beginning, or after the page that gave `cursor`. A cursor that the vendor no longer
    accepts raises CursorRefused on the first page.
    """

    streams: frozenset[StreamName]

    async def check(self) -> Check:
        """Try the credential and name each missing permission; a refused credential is an answer, not an error.
        Network faults raise.
        """
        ...

    def users(self, cursor: str | None = None) -> AsyncIterator[Page[User]]: ...

    def applications(self, cursor: str | None = None) -> AsyncIterator[Page[Application]]: ...

    def assignments(self, scope_id: str, cursor: str | None = None) -> AsyncIterator[Page[Assignment]]:
        """Who is in one scope (see Assignment)."""
        ...

    def activity(self, since: datetime, until: datetime, cursor: str | None = None) -> AsyncIterator[Page[Use]]:
        """Use from `since` on, at least up to `until` (the time the read began). With `cursor`, `since` is ignored."""
        ...
