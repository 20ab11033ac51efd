"""Whether the worker application may read what is needed, in PingOne's own role names.

Sources: developer.pingidentity.com/pingone-api/platform/roles/predefined-roles.html; the API and the console spell the
read-only roles differently, so each is known by all its names (see manifest.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec

from app.connectors.contract import Check, shown_client
from app.connectors.manifest import Permission
from app.connectors.pingone.manifest import DEVELOPER, ENVIRONMENT, IDENTITY, MANIFEST
from app.connectors.pingone.records import read_sheet
from app.connectors.reading import UNREADABLE, text, within
from app.connectors.walking import Params, Walk, is_gone
from app.core.clock import now
from app.core.errors import CredentialRefused, InsufficientPermissions, InvalidOptions, UnexpectedAnswer

_UNPROVED = (
    "The worker application may not look up its own roles; those named as granted are concluded from lists that it "
    "could read."
)


@dataclass(frozen=True, slots=True)
class Tenant:
    environment_id: str
    auth_environment_id: str
    base: str
    client_id: str | None


class Grant(NamedTuple):
    """One role as assigned; `role` is None for a role of the customer's own making."""

    role: str | None
    scope: str
    scope_id: str | None


async def check_roles(walk: Walk, tenant: Tenant) -> Check:
    """By the role assignments where they can be read; else, and for custom roles, by trying."""
    try:
        grants = await _grants(walk, tenant)
        reaching = [grant for grant in grants or () if _reaches(grant, tenant)]
        wanting = [p for p in MANIFEST.permissions if not _covering(p, reaching)]
        if wanting and (grants is None or any(grant.role is None for grant in reaching)):
            wanting = [p for p in wanting if not await _works(walk, tenant, p)]
    except CredentialRefused as fault:
        return _failed(tenant, "credential_refused", fault.detail)
    except InvalidOptions as fault:
        return _failed(tenant, "invalid_options", fault.detail)
    named = {grant.role for grant in reaching if grant.role is not None}
    proved = {p.name for p in MANIFEST.permissions if p not in wanting and not _covering(p, reaching)}
    missing = tuple(p.name for p in wanting)
    return Check(
        ok=not missing,
        tenant=tenant.environment_id,
        subject=shown_client(tenant.client_id),
        granted=tuple(sorted(named | proved)),
        missing=missing,
        warnings=tuple(_warnings(grants or (), reaching)) if grants is not None else (_UNPROVED,),
        code="insufficient_permissions" if missing else None,
        detail=_detail(missing),
    )


def _failed(tenant: Tenant, code: str, detail: str) -> Check:
    return Check(
        ok=False, tenant=tenant.environment_id, subject=shown_client(tenant.client_id), code=code, detail=detail
    )


def _detail(missing: Collection[str]) -> str:
    if not missing:
        return "The worker application may read users, groups, applications and audit events."
    return (
        f"The worker application lacks {', '.join(missing)}. Grant it on the application's Roles tab in PingOne, "
        "for the environment that is read."
    )


async def _grants(walk: Walk, tenant: Tenant) -> list[Grant] | None:
    """The roles assigned to the worker application, None where it may not look them up."""
    if tenant.client_id is None:
        return None
    application = f"{tenant.base}/environments/{tenant.auth_environment_id}/applications/{tenant.client_id}"
    try:
        assignments = await _all(walk, f"{application}/roleAssignments", "roleAssignments")
        roles = await _all(walk, f"{tenant.base}/roles", "roles")
    except InsufficientPermissions:
        return None
    except UnexpectedAnswer as fault:
        if is_gone(fault):
            return None
        raise
    names = {text(within(role, "id")): text(within(role, "name")) for role in roles}
    return [_grant(assignment, names) for assignment in assignments]


async def _all(walk: Walk, url: str, collection: str) -> list[Any]:
    entries: list[Any] = []
    async for sheet, _ in walk.sheets(url, partial(read_sheet, collection=collection), bucket="configuration"):
        for raw in sheet.rows:
            try:
                entries.append(msgspec.json.decode(raw))
            except UNREADABLE:
                continue
    return entries


def _grant(assignment: Any, names: Mapping[str | None, str | None]) -> Grant:
    scope = within(assignment, "scope")
    role_id = text(within(within(assignment, "role"), "id"))
    return Grant(names.get(role_id), text(within(scope, "type")) or "", text(within(scope, "id")))


def _reaches(grant: Grant, tenant: Tenant) -> bool:
    """Whether a role holds in the environment that is read; which one a population belongs to is not told."""
    if grant.scope == "ENVIRONMENT":
        return (grant.scope_id or "").lower() == tenant.environment_id.lower()
    return grant.scope in {"ORGANIZATION", "POPULATION"}


def _covering(permission: Permission, reaching: Collection[Grant]) -> list[Grant]:
    """Only of users does a role for one population show anything."""
    roles = {permission.name, *permission.accepted}
    return [g for g in reaching if g.role in roles and (permission is IDENTITY or g.scope != "POPULATION")]


async def _works(walk: Walk, tenant: Tenant, permission: Permission) -> bool:
    environment = f"{tenant.base}/environments/{tenant.environment_id}"
    since, until = now() - timedelta(hours=1), now()
    recent = f'recordedAt gt "{since:%Y-%m-%dT%H:%M:%S.000Z}" and recordedAt lt "{until:%Y-%m-%dT%H:%M:%S.000Z}"'
    probes: dict[str, tuple[str, Params | None, str]] = {
        DEVELOPER.name: (f"{environment}/applications", None, "configuration"),
        ENVIRONMENT.name: (f"{environment}/activities", {"filter": recent, "limit": 1}, "audit"),
        IDENTITY.name: (f"{environment}/users", {"limit": 1}, "configuration"),
    }
    url, params, bucket = probes[permission.name]
    try:
        await walk.client.get(url, params=params, bucket=bucket)
    except InsufficientPermissions:
        return False
    except UnexpectedAnswer as fault:
        if is_gone(fault):
            raise InvalidOptions(f"PingOne knows no environment {tenant.environment_id} in this region.") from fault
        raise
    return True


def _warnings(grants: Collection[Grant], reaching: Collection[Grant]) -> list[str]:
    warnings = []
    covering = _covering(IDENTITY, reaching)
    if covering and all(grant.scope == "POPULATION" for grant in covering):
        warnings.append(
            f"{covering[0].role} is granted for a population only: users of other populations are not seen. "
            "Grant it for the environment to see everybody."
        )
    held = {grant.role for grant in reaching}
    elsewhere = {g.role for g in grants if g.role is not None and g.scope == "ENVIRONMENT"} - held
    warnings.extend(f"{role} is granted, but for another environment." for role in sorted(elsewhere))
    return warnings
