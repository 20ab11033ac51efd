"""PingOne's records, read into ours.

Sources: developer.pingidentity.com/pingone-api/platform/users/users-1.html, …/platform/audit-activities.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.connectors.contract import Access, Application, Assignment, Rejected, Use, User
from app.connectors.reading import (
    UNREADABLE,
    decode,
    display_name,
    flag,
    identified,
    kept,
    moment,
    plain,
    text,
    unreadable,
    within,
    wrong_shape,
)
from app.connectors.walking import Sheet
from app.http.pages import HalNext
from app.http.vendor import Answer

OWN_TYPES = frozenset({"WORKER", "SERVICE"})
OWN_PREFIX = "PING_ONE_"
USE = "USER.ACCESS_ALLOWED"

_NO_OBJECT = "The record is not an object with an id."


class _Hal(HalNext, frozen=True, kw_only=True):
    embedded: dict[str, msgspec.Raw] | None = msgspec.field(name="_embedded", default=None)
    count: Any = None
    size: Any = None


class _User(msgspec.Struct, rename="camel"):
    id: Any = None
    username: Any = None
    email: Any = None
    name: Any = None
    enabled: Any = None
    account: Any = None
    address: Any = None
    lifecycle: Any = None
    mfa_enabled: Any = None
    type: Any = None
    verify_status: Any = None


class _Application(msgspec.Struct, rename="camel"):
    id: Any = None
    name: Any = None
    enabled: Any = None
    type: Any = None
    access_control: Any = None


class _Member(msgspec.Struct):
    id: Any = None


class _Activity(msgspec.Struct, rename="camel"):
    id: Any = None
    recorded_at: Any = None
    action: Any = None
    actors: Any = None
    resources: Any = None
    result: Any = None


_HAL = msgspec.json.Decoder(_Hal, strict=False)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_USER = msgspec.json.Decoder(_User, strict=False)
_APPLICATION = msgspec.json.Decoder(_Application, strict=False)
_MEMBER = msgspec.json.Decoder(_Member, strict=False)
_ACTIVITY = msgspec.json.Decoder(_Activity, strict=False)


def read_sheet(answer: Answer, collection: str) -> Sheet:
    """One HAL page. A page without the collection is taken for empty only where its size says so."""
    shape = f"a page of {collection}"
    page = decode(answer, _HAL, expected=shape)
    rows = (page.embedded or {}).get(collection)
    if rows is None and 0 not in (page.size, page.count):
        raise wrong_shape(answer, expected=shape)
    try:
        raws = [] if rows is None else _ROWS.decode(rows)
    except UNREADABLE:
        raise wrong_shape(answer, expected=shape) from None
    return Sheet(raws, page.next_link or None, page.count if type(page.count) is int else None)


def read_user(raw: msgspec.Raw) -> User | Rejected:
    """Active means that the account is enabled, not that it could sign on this minute (`account.canAuthenticate`)."""
    try:
        user = _USER.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    vendor_id = text(user.id)
    if vendor_id is None:
        return unreadable(raw, _NO_OBJECT)
    username, email = text(user.username), text(user.email)
    given, family = text(within(user.name, "given")), text(within(user.name, "family"))
    status = _status(user)
    return identified(
        User(
            vendor_id=vendor_id,
            username=username,
            email=email,
            name=display_name(text(within(user.name, "formatted")), given, family, username, email),
            given_name=given,
            family_name=family,
            active=status != "disabled",
            vendor_status=status,
            role=None,
            metadata={
                "can_authenticate": flag(within(user.account, "canAuthenticate")),
                "locality": plain(within(user.address, "locality")),
                "mfa_enabled": flag(user.mfa_enabled),
                "region": plain(within(user.address, "region")),
                "status": status,
                "type": plain(user.type),
                "verify_status": plain(user.verify_status),
            },
            raw=kept(raw, drop="_embedded"),
        )
    )


def _status(user: _User) -> str:
    if flag(user.enabled) is False:
        return "disabled"
    if within(user.account, "status") == "LOCKED":
        return "locked"
    if within(user.lifecycle, "status") == "VERIFICATION_REQUIRED":
        return "verification_required"
    return "active"


def read_application(raw: msgspec.Raw) -> Application | Rejected:
    try:
        application = _APPLICATION.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    vendor_id = text(application.id)
    if vendor_id is None:
        return unreadable(raw, _NO_OBJECT)
    access, groups, match_all = _access(application.access_control)
    kind = text(application.type) or ""
    return Application(
        vendor_id=vendor_id,
        name=text(application.name) or vendor_id,
        definition=vendor_id,
        active=flag(application.enabled) is not False,
        access=access,
        groups=groups,
        groups_match="all" if match_all else "any",
        own=kind in OWN_TYPES or kind.startswith(OWN_PREFIX),
    )


def _access(control: object) -> tuple[Access, tuple[str, ...], bool]:
    """Who may use an application: its access, the ids of the groups, and whether one must be in all of them."""
    if within(within(control, "role"), "type") == "ADMIN_USERS_ONLY":
        return "admins", (), False
    group = within(control, "group")
    listed = within(group, "groups")
    ids = tuple(
        identity
        for entry in (listed if isinstance(listed, list) else ())
        if (identity := text(within(entry, "id"))) is not None
    )
    if ids:
        return "groups", ids, within(group, "type") == "ALL_GROUPS"
    return "open", (), False


def read_member(raw: msgspec.Raw, group_id: str) -> Assignment | Rejected:
    try:
        user_id = text(_MEMBER.decode(raw).id)
    except UNREADABLE:
        user_id = None
    return unreadable(raw, _NO_OBJECT) if user_id is None else Assignment(scope_id=group_id, user_id=user_id)


def read_use(raw: msgspec.Raw, seen: set[str]) -> Use | Rejected | None:
    """One permitted access to an application; None for other events, those that lack its parties, and ids `seen`."""
    try:
        event = _ACTIVITY.decode(raw)
    except UNREADABLE:
        return unreadable(raw, "The event is not an object.")
    application_id = text(within(within(event.actors, "client"), "id"))
    user_id = text(within(within(event.actors, "user"), "id")) or _user_accessed(event.resources)
    allowed = within(event.action, "type") == USE and within(event.result, "status") == "SUCCESS"
    if not allowed or application_id is None or user_id is None:
        return None
    at = moment(event.recorded_at)
    if at is None:
        return unreadable(raw, "The event tells no readable time.")
    if isinstance(event.id, str):
        if event.id in seen:
            return None
        seen.add(event.id)
    return Use(application_id=application_id, user_id=user_id, at=at)


def _user_accessed(resources: Any) -> str | None:
    """The user among the resources, where the event names no acting one: for an access the two are the same."""
    users = [each for each in resources if within(each, "type") == "USER"] if isinstance(resources, list) else []
    return text(within(users[0], "id")) if users else None
