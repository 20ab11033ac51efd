"""Whether the credential may read what is needed, in Okta's role labels and scopes.

A token whose owner has no admin role is not refused: its lists are empty, or hold its owner alone. So the roles are
looked up where Okta allows it, and the lists are tried.
Never asked: /api/v1/api-tokens/current, whose only method revokes the token.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from app.connectors.contract import Check, shown_client
from app.connectors.okta.manifest import APPS_SCOPE, LOGS_SCOPE, READ_ONLY, SCOPES, USERS_SCOPE
from app.connectors.reading import decode, text, within
from app.connectors.walking import Walk, is_gone
from app.core.errors import (
    CredentialRefused,
    InsufficientPermissions,
    InvalidOptions,
    UnexpectedAnswer,
    VendorError,
)
from app.http.pages import link_next

# Which roles see everybody and everything, and which of all roles may also change things.
SEES_ALL = frozenset({"READ_ONLY_ADMIN", "SUPER_ADMIN", "ORG_ADMIN"})
CHANGES = SEES_ALL - {"READ_ONLY_ADMIN"} | {
    "API_ACCESS_MANAGEMENT_ADMIN",
    "APP_ADMIN",
    "GROUP_MEMBERSHIP_ADMIN",
    "HELP_DESK_ADMIN",
    "MOBILE_ADMIN",
    "USER_ADMIN",
}

# The token endpoint's words for scopes that were not granted to the service application.
SCOPE_REFUSALS = frozenset({"invalid_scope", "consent_required", "access_denied"})

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_LIST = msgspec.json.Decoder(list[Any])


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    base: str
    client_id: str | None


class Role(NamedTuple):
    type: str
    label: str


class Owner(NamedTuple):
    """Whose credential it is: the user's id with an API token, none with a service application."""

    user_id: str | None
    name: str | None


async def check_access(walk: Walk, tenant: Tenant) -> Check:
    """Name the roles and scopes that are there and those that are missing; a refused credential is an answer."""
    try:
        return await _tried(walk, tenant)
    except (CredentialRefused, InsufficientPermissions, InvalidOptions) as fault:
        return _refused(fault, tenant)


async def _tried(walk: Walk, tenant: Tenant) -> Check:
    owner = await _owner(walk, tenant)
    roles = await _roles(walk, tenant, owner)
    shut = await _shut(walk, owner, sees_all=any(role.type in SEES_ALL for role in roles or ()))
    powerless = roles == [] or READ_ONLY in shut
    missing = _missing(tenant, shut, powerless=powerless)
    scopes = [] if tenant.client_id is None else [scope for scope in SCOPES if scope not in shut]
    return Check(
        ok=not missing,
        tenant=tenant.name,
        subject=owner.name,
        granted=(*sorted({role.label for role in roles or ()}), *scopes),
        missing=missing,
        warnings=tuple(_warnings(roles or ())),
        code="insufficient_permissions" if missing else None,
        detail=_detail(missing, shut),
    )


async def _owner(walk: Walk, tenant: Tenant) -> Owner:
    if tenant.client_id is not None:
        return Owner(None, shown_client(tenant.client_id))
    try:
        answer = await walk.client.get(f"{walk.base}/api/v1/users/me", bucket="users")
    except UnexpectedAnswer as fault:
        if is_gone(fault):
            raise InvalidOptions(f"{tenant.name} answers, but is no Okta organization.") from fault
        raise
    me = decode(answer, _OBJECT, expected="a user")
    user_id = text(me.get("id"))
    return Owner(user_id, text(within(me.get("profile"), "login")) or user_id)


async def _roles(walk: Walk, tenant: Tenant, owner: Owner) -> list[Role] | None:
    """The active admin roles, None where the credential may not look them up."""
    if tenant.client_id is not None:
        url = f"{walk.base}/oauth2/v1/clients/{tenant.client_id}/roles"
    elif owner.user_id is not None:
        url = f"{walk.base}/api/v1/users/{owner.user_id}/roles"
    else:
        return None
    try:
        answer = await walk.client.get(url, bucket="roles")
    except InsufficientPermissions:
        return None
    except UnexpectedAnswer as fault:
        if is_gone(fault):
            return None
        raise
    return [
        Role(kind, text(within(entry, "label")) or kind)
        for entry in decode(answer, _LIST, expected="a list of roles")
        if (kind := text(within(entry, "type"))) and within(entry, "status") in {"ACTIVE", None}
    ]


async def _shut(walk: Walk, owner: Owner, *, sees_all: bool) -> list[str]:
    """The scopes of the lists that are refused; with the role's label among them where the list of users shows
    nobody, or the token's owner alone, to someone of whom no role is known that sees everybody.
    """
    shut = []
    for scope, path, bucket in (
        (USERS_SCOPE, "users", "users"),
        (APPS_SCOPE, "apps", "apps"),
        (LOGS_SCOPE, "logs", "logs"),
    ):
        try:
            answer = await walk.client.get(f"{walk.base}/api/v1/{path}", params={"limit": 1}, bucket=bucket)
        except InsufficientPermissions:
            shut.append(scope)
            continue
        entries = decode(answer, _LIST, expected="a list")
        if (
            scope == USERS_SCOPE
            and not sees_all
            and _only_self(entries, owner, more=link_next(answer.headers) is not None)
        ):
            shut.append(READ_ONLY)
    return shut


def _only_self(users: Sequence[Any], owner: Owner, *, more: bool) -> bool:
    return not more and all(owner.user_id is not None and text(within(user, "id")) == owner.user_id for user in users)


def _missing(tenant: Tenant, shut: Collection[str], *, powerless: bool) -> tuple[str, ...]:
    """An API token has no scopes: whatever it may not read, the role would give."""
    if tenant.client_id is None:
        return (READ_ONLY,) if powerless or shut else ()
    return (*((READ_ONLY,) if powerless else ()), *(scope for scope in SCOPES if scope in shut))


def _detail(missing: Collection[str], shut: Collection[str]) -> str:
    if not missing:
        return "Users, applications and the System Log may be read."
    lists = {USERS_SCOPE: "users", APPS_SCOPE: "applications", LOGS_SCOPE: "the System Log"}
    refused = [lists[scope] for scope in SCOPES if scope in shut]
    what = f"Okta refuses to show {', '.join(refused)}. " if refused else "Okta shows no users but the token's owner. "
    return f"{what}Grant {', '.join(missing)} in the Admin Console."


def _warnings(roles: Sequence[Role]) -> list[str]:
    warnings = [f"{role.label} may do more than read; {READ_ONLY} is enough." for role in roles if role.type in CHANGES]
    if roles and not any(role.type in SEES_ALL for role in roles):
        warnings.append(f"{roles[0].label} may be limited to some users or applications; {READ_ONLY} sees all.")
    return warnings


def _refused(fault: VendorError, tenant: Tenant) -> Check:
    missing: tuple[str, ...] = (READ_ONLY,) if isinstance(fault, InsufficientPermissions) else ()
    code, detail = fault.code, fault.detail
    if fault.vendor_code in SCOPE_REFUSALS:
        missing, code = SCOPES, "insufficient_permissions"
        detail = f"Okta gives no token for {', '.join(SCOPES)}. Grant all three to the service application."
    return Check(
        ok=False, tenant=tenant.name, subject=shown_client(tenant.client_id), missing=missing, code=code, detail=detail
    )
