"""The audit: a row for every change, written in the transaction that makes it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any, Protocol
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.core.ids import new_id
from app.models import AuditEvent

MASK = "***"
_FILTER = {"field", "op", "value"}
_SECRET_NAMES = ("secret", "password", "private_key", "token", "api_key", "key_hash", "sealed", "authorization")
# Names that hold such a word and are no secret.
_PLAIN_NAMES = {"secrets_set", "token_expires_at", "token_url"}


class Origin(Protocol):
    """A request, as far as the audit looks at it: its ASGI scope, with the id that the edge gave it."""

    @property
    def scope(self) -> MutableMapping[str, Any]: ...


def audit(
    session: AsyncSession,
    principal: Principal,
    request: Origin | None,
    action: str,
    resource_type: str,
    resource_id: UUID | str | None,
    name: str | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note a change: `credential.updated`, with what it was before and is after; secrets are masked here.

    request  where it came from; None for what the service does by itself.
    Of a change only the members that differ are kept; a creation has null `before`, a deletion null `after`.
    """
    old, new = _as_json(before), _as_json(after)
    if old is not None and new is not None:
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"updated_at"}
        old = {name: value for name, value in old.items() if name in changed}
        new = {name: value for name, value in new.items() if name in changed}
    session.add(
        AuditEvent(
            id=new_id(),
            actor=principal.as_actor(),
            action=action,
            resource_type=resource_type,
            resource_id=None if resource_id is None else str(resource_id),
            resource_name=name,
            address=_address(request),
            request_id=None if request is None else request.scope.get("state", {}).get("request_id"),
            before=None if old is None else masked(old),
            after=None if new is None else masked(new),
        )
    )


def _address(request: Origin | None) -> str | None:
    """Where a request came from; None for what is no address, which a proxy has handed on as it was told."""
    client = None if request is None else request.scope.get("client")
    try:
        return str(ip_address(client[0])) if client else None
    except ValueError:
        return None


def _as_json(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(to_jsonable_python(value))


def masked(value: Any, name: str = "") -> Any:
    """The value with every secret in it replaced, and what filters compare with, which may be somebody's name.

    A mapping under a secret's name keeps its names only.
    """
    if isinstance(value, Mapping):
        if value.keys() == _FILTER:
            return {**value, "value": MASK}
        hidden = _is_secret(name)
        return {key: MASK if hidden else masked(member, str(key)) for key, member in value.items()}
    if isinstance(value, list):
        return [masked(member, name) for member in value]
    return MASK if value is not None and _is_secret(name) else value


def _is_secret(name: str) -> bool:
    return name not in _PLAIN_NAMES and (name == "key" or any(word in name for word in _SECRET_NAMES))
