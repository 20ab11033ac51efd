"""Custom target fields of people and accounts, and who maps to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.ids import new_id
from app.models import CustomField, Instance

_NEEDS_CHOICES = "A field of type choice needs its choices, each once."
_TAKES_NONE = "Only a field of type choice has choices."


async def create(session: AsyncSession, sent: Mapping[str, Any]) -> CustomField:
    """Keep a new field. `sent` has kind, key, title, type and choices. Raises InvalidInput, Conflict."""
    _require_choices(sent["type"], sent["choices"])
    taken = select(CustomField.id).where(CustomField.kind == sent["kind"], CustomField.key == sent["key"])
    if await session.scalar(taken) is not None:
        detail = f"There is a field {sent['kind']}.{sent['key']} already; choose another key, or change that one."
        raise Conflict(detail, errors=[FieldError("In use.", "#/key")])
    at = now()
    field = CustomField(id=new_id(), created_at=at, updated_at=at, **sent)
    session.add(field)
    await session.flush()
    return field


async def get(session: AsyncSession, field_id: UUID, *, lock: bool = False) -> CustomField:
    """One field; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    field = await session.get(CustomField, field_id, with_for_update=lock)
    if field is None:
        raise NotFound("There is no field with this id.")
    return field


async def change(session: AsyncSession, field: CustomField, sent: Mapping[str, Any]) -> None:
    """Change title or choices; values that are stored already stay until a sync maps them anew. Raises InvalidInput."""
    _require_choices(field.type, sent.get("choices", field.choices))
    for name, value in sent.items():
        setattr(field, name, value)
    field.updated_at = now()
    await session.flush()


async def remove(session: AsyncSession, field: CustomField) -> None:
    """Remove a field that no mapping fills. Raises Conflict with the `instances` whose mapping does."""
    target = [{"target": f"{field.kind}.{field.key}"}]
    mapped = select(Instance).where(Instance.mapping.contains(target)).order_by(Instance.name)
    users = (await session.scalars(mapped)).all()
    if users:
        instances = [{"id": str(instance.id), "name": instance.name} for instance in users]
        raise Conflict("Mappings fill this field; take it out of these instances' first.", instances=instances)
    await session.delete(field)
    await session.flush()


def _require_choices(kind: str, choices: list[str]) -> None:
    if kind == "choice" and (not choices or len({choice.casefold() for choice in choices}) < len(choices)):
        raise InvalidInput.at("#/choices", _NEEDS_CHOICES)
    if kind != "choice" and choices:
        raise InvalidInput.at("#/choices", _TAKES_NONE)
