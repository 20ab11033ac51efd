"""Clickwrap's records, read into ours.

Source: clickwrap-developer.ironcladapp.com/reference/retrieve-user-memberships-for-an-account-1, …/reference/pagination
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from app.connectors.contract import Rejected, User
from app.connectors.reading import (
    UNREADABLE,
    decode,
    display_name,
    flag,
    identified,
    kept,
    plain,
    text,
    unreadable,
    within,
    wrong_shape,
)
from app.core.errors import PagingError
from app.http.vendor import Answer

_NO_OBJECT = "The record is not an object with an id."


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw]
    page: Any = None
    per_page: Any = None
    total_count: Any = None
    has_more: Any = None


class _Member(msgspec.Struct):
    id: Any = None
    name: Any = None
    email: Any = None
    locale: Any = None
    time_zone: Any = None
    verified: Any = None
    verified_time: Any = None


class _Site(msgspec.Struct):
    id: Any = None
    account: Any = None
    deleted: Any = None


class _Membership(msgspec.Struct):
    role: Any = None
    user: Any = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_MEMBER = msgspec.json.Decoder(_Member)
_SITE = msgspec.json.Decoder(_Site)
_MEMBERSHIP = msgspec.json.Decoder(_Membership)


class Sheet(msgspec.Struct):
    """One page of a list: its rows undecoded, whether more follow, and the total where it is told."""

    rows: list[msgspec.Raw]
    more: bool
    total: int | None


class Site(msgspec.Struct):
    """A site that is not `deleted`, or one that is and still names the account it belonged to."""

    id: str | None
    account: str | None
    deleted: bool


def read_sheet(answer: Answer, number: int) -> Sheet:
    """Page `number` of a list. Raises PagingError for another page than was asked for, and for an empty one that is
    said to have followers: neither would ever end.
    """
    envelope = decode(answer, _ENVELOPE, expected="a page with its records under data")
    if type(envelope.page) is int and envelope.page != number:
        raise PagingError(f"Page {number} was asked for, and page {envelope.page} came.")
    total = envelope.total_count if type(envelope.total_count) is int else None
    more = flag(envelope.has_more)
    if more is None and total is not None and type(envelope.per_page) is int:
        more = number * envelope.per_page < total
    if more is None:
        raise wrong_shape(answer, expected="a page that tells whether there are more")
    if more and not envelope.data:
        raise PagingError(f"Page {number} is empty, and yet there are said to be more.")
    return Sheet(envelope.data, more, total)


def read_user(raw: msgspec.Raw, roles: Mapping[str, Collection[str]]) -> User | Rejected:
    """Clickwrap has no state of a user, so all are active. `roles` holds the roles on the sites by user id; several are
    joined in the order of the alphabet.
    """
    try:
        member = _MEMBER.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    vendor_id = text(member.id)
    if vendor_id is None:
        return unreadable(raw, _NO_OBJECT)
    email = text(member.email)
    return identified(
        User(
            vendor_id=vendor_id,
            username=email,
            email=email,
            name=display_name(text(member.name), None, None, None, email),
            given_name=None,
            family_name=None,
            active=True,
            vendor_status=None,
            role=", ".join(sorted(roles.get(vendor_id, ()))) or None,
            metadata={
                "locale": plain(member.locale),
                "time_zone": plain(member.time_zone),
                "user_id": plain(member.id),
                "verified": flag(member.verified),
                "verified_time": plain(member.verified_time),
            },
            raw=kept(raw, drop="password"),
        )
    )


def read_site(raw: msgspec.Raw) -> Site | None:
    """None where the entry cannot be read."""
    try:
        site = _SITE.decode(raw)
    except UNREADABLE:
        return None
    return Site(text(site.id), text(site.account), flag(site.deleted) is True)


def read_roles(rows: Iterable[msgspec.Raw], roles: dict[str, set[str]]) -> None:
    """Add the roles of one page of memberships to those known, by user id."""
    for raw in rows:
        try:
            membership = _MEMBERSHIP.decode(raw)
        except UNREADABLE:
            continue
        user_id, role = text(within(membership.user, "id")), text(membership.role)
        if user_id is not None and role is not None:
            roles.setdefault(user_id, set()).add(role)
