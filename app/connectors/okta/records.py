"""Okta's records, read into ours. Source: Okta's management API description, 2026.06.3."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.connectors.contract import Application, Assignment, Rejected, Use, User
from app.connectors.reading import (
    UNREADABLE,
    decode,
    display_name,
    identified,
    kept,
    moment,
    plain,
    snake_case,
    text,
    unreadable,
    within,
)
from app.connectors.walking import Sheet
from app.http.pages import link_next
from app.http.vendor import Answer

INACTIVE = frozenset({"DEPROVISIONED", "SUSPENDED"})
LONGEST_HOST = 253
OWN_APPLICATIONS = frozenset({"saasure", "okta_enduser"})
USE = "user.authentication.sso"
# A password that Okta fills in, or a mere link: the application can be reached without Okta.
BYPASSING = frozenset({"AUTO_LOGIN", "BASIC_AUTH", "BOOKMARK", "BROWSER_PLUGIN", "SECURE_PASSWORD_STORE"})
# Where an entry's settings tell its address, the surest first.
ADDRESSES = (("signOn", "ssoAcsUrl"), ("signOn", "loginUrl"), ("app", "loginUrl"), ("app", "url"))

_NO_OBJECT = "The record is not an object with an id."


class _User(msgspec.Struct):
    id: Any = None
    status: Any = None
    profile: Any = None


class _Application(msgspec.Struct):
    id: Any = None
    name: Any = None
    label: Any = None
    status: Any = None
    sign_on_mode: Any = msgspec.field(default=None, name="signOnMode")
    settings: Any = None


class _Assignment(msgspec.Struct):
    id: Any = None
    created: Any = None


class _Event(msgspec.Struct, rename="camel"):
    uuid: Any = None
    published: Any = None
    event_type: Any = None
    outcome: Any = None
    actor: Any = None
    target: Any = None


_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_USER = msgspec.json.Decoder(_User)
_APPLICATION = msgspec.json.Decoder(_Application)
_ASSIGNMENT = msgspec.json.Decoder(_Assignment)
_EVENT = msgspec.json.Decoder(_Event)


def read_sheet(answer: Answer) -> Sheet:
    """One page: a plain list, its next link in a Link header."""
    return Sheet(decode(answer, _ROWS, expected="a list"), link_next(answer.headers))


def read_user(raw: msgspec.Raw) -> User | Rejected:
    """A suspended user is inactive, one that is locked out or not yet activated is not."""
    try:
        user = _USER.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    vendor_id = text(user.id)
    if vendor_id is None:
        return unreadable(raw, _NO_OBJECT)
    profile: dict[str, Any] = user.profile if isinstance(user.profile, dict) else {}
    status = text(user.status)
    username, email = text(profile.get("login")), text(profile.get("email"))
    given, family = text(profile.get("firstName")), text(profile.get("lastName"))
    metadata = {snake_case(key): plain(value) for key, value in profile.items()}
    metadata["status"] = status
    return identified(
        User(
            vendor_id=vendor_id,
            username=username,
            email=email,
            name=display_name(text(profile.get("displayName")), given, family, username, email),
            given_name=given,
            family_name=family,
            active=status not in INACTIVE,
            vendor_status=status,
            role=None,
            metadata=metadata,
            raw=kept(raw, drop="credentials"),
        )
    )


def read_application(raw: msgspec.Raw) -> Application | Rejected:
    """`label` is the entry as users see it, `name` the key of the kind of application."""
    try:
        application = _APPLICATION.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    vendor_id = text(application.id)
    if vendor_id is None:
        return unreadable(raw, _NO_OBJECT)
    definition = text(application.name) or vendor_id
    mode = text(application.sign_on_mode)
    return Application(
        vendor_id=vendor_id,
        name=text(application.label) or definition,
        definition=definition,
        active=application.status == "ACTIVE",
        access="assigned",
        own=definition in OWN_APPLICATIONS,
        bypass_kind=mode if mode in BYPASSING else None,
        domain=_domain(application.settings),
    )


def _domain(settings: object) -> str | None:
    for part, name in ADDRESSES:
        address = text(within(within(settings, part), name))
        try:
            host = urlsplit(address or "").hostname
        except ValueError:
            continue
        if host and "." in host:
            return host[:LONGEST_HOST]
    return None


def read_assignment(raw: msgspec.Raw, application_id: str) -> Assignment | Rejected:
    """Every assignment is a seat, whatever its status."""
    try:
        assignment = _ASSIGNMENT.decode(raw)
    except UNREADABLE:
        return unreadable(raw, _NO_OBJECT)
    user_id = text(assignment.id)
    if user_id is None:
        return unreadable(raw, _NO_OBJECT)
    return Assignment(scope_id=application_id, user_id=user_id, assigned_at=moment(assignment.created))


def read_use(raw: msgspec.Raw, seen: set[str]) -> Use | Rejected | None:
    """One successful sign-on; None for other events, those that name no user or no application, and ids `seen`."""
    try:
        event = _EVENT.decode(raw)
    except UNREADABLE:
        return unreadable(raw, "The event is not an object.")
    application_id = _target(event.target)
    user_id = text(within(event.actor, "id")) if within(event.actor, "type") == "User" else None
    happened = event.event_type == USE and within(event.outcome, "result") == "SUCCESS"
    if not happened or application_id is None or user_id is None:
        return None
    at = moment(event.published)
    if at is None:
        return unreadable(raw, "The event tells no readable time.")
    if isinstance(event.uuid, str):
        if event.uuid in seen:
            return None
        seen.add(event.uuid)
    return Use(application_id=application_id, user_id=user_id, at=at)


def _target(targets: object) -> str | None:
    """The application signed on to, found by its type: the order of targets means nothing, and there may be none."""
    for target in targets if isinstance(targets, list) else ():
        if within(target, "type") == "AppInstance":
            return text(within(target, "id"))
    return None
