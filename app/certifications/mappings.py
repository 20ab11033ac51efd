"""Ties between a source of a tenant and an application of an instance: a source may have several, each pair is once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.certifications.environments import environment_of_source, mismatch
from app.certifications.source_accounts import request_read
from app.connectors.sailpoint import Source
from app.core.clock import now
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.models import Application, Credential, Instance, SourceMapping


async def get(session: AsyncSession, mapping_id: UUID, *, lock: bool = False) -> SourceMapping:
    """Raises NotFound."""
    mapping = await session.get(SourceMapping, mapping_id, with_for_update=lock)
    if mapping is None:
        raise NotFound("There is no source mapping with this id.")
    return mapping


async def require_application(session: AsyncSession, application_id: UUID, instance_id: UUID) -> Instance:
    """The instance, which stays while the session lasts. Raises InvalidInput where the application is none of its."""
    instance = await session.get(Instance, instance_id, with_for_update={"read": True, "key_share": True})
    if instance is None or instance.leaving or instance.status == "deleting":
        raise InvalidInput.at("#/instance_id", "There is no instance with this id.")
    application = await session.get(Application, application_id)
    if application is None or application.instance_id != instance_id:
        raise InvalidInput.at("#/application_id", "The instance has no application with this id.")
    return instance


async def create(
    session: AsyncSession,
    tenant: Credential,
    source: Source,
    *,
    application_id: UUID,
    instance_id: UUID,
    source_environment: str | None,
    allow_environment_mismatch: bool,
    by: Principal,
) -> SourceMapping:
    """Tie the two together and ask for the source's accounts. Raises InvalidInput, Conflict."""
    instance = await require_application(session, application_id, instance_id)
    at = now()
    row = {
        "tenant_id": tenant.id,
        "source_id": source.id,
        "source_name": source.name,
        "source_type": source.type,
        "source_environment": source_environment,
        "allow_environment_mismatch": allow_environment_mismatch,
        "application_id": application_id,
        "instance_id": instance_id,
        "created_by": by.as_creator(),
        "created_at": at,
        "updated_at": at,
    }
    _require_fit(SourceMapping(**row), tenant, instance)
    statement = insert(SourceMapping).values(row).on_conflict_do_nothing().returning(SourceMapping.id)
    mapping_id = await session.scalar(statement)
    if mapping_id is None:
        pair = select(SourceMapping.id).where(
            SourceMapping.tenant_id == tenant.id,
            SourceMapping.source_id == source.id,
            SourceMapping.application_id == application_id,
        )
        known = await session.scalar(pair)
        raise Conflict("This source is mapped to this application already.", source_mapping_id=str(known))
    await request_read(session, tenant.id, source.id)
    return await session.get_one(SourceMapping, mapping_id)


async def change(session: AsyncSession, mapping: SourceMapping, sent: Mapping[str, Any]) -> None:
    """Apply a merge patch of the two members about the environment. Raises Conflict for a mismatch not allowed."""
    tenant = await session.get_one(Credential, mapping.tenant_id)
    instance = await session.get_one(Instance, mapping.instance_id)
    if "source_environment" in sent:
        mapping.source_environment = sent["source_environment"]
    if "allow_environment_mismatch" in sent:
        mapping.allow_environment_mismatch = bool(sent["allow_environment_mismatch"])
    _require_fit(mapping, tenant, instance)
    mapping.updated_at = now()
    await session.flush()


def environment(mapping: SourceMapping, tenant: Credential) -> str | None:
    return environment_of_source(mapping.source_environment, tenant.options.get("environment"), mapping.source_name)


def _require_fit(mapping: SourceMapping, tenant: Credential, instance: Instance) -> None:
    source = environment(mapping, tenant)
    if mismatch(source, instance.environment) and not mapping.allow_environment_mismatch:
        raise Conflict(
            f"The source {mapping.source_name} is {source}, the instance {instance.name} is {instance.environment}: "
            "activity of one would be shown in reviews of the other. Map the right pair, say what the source is as "
            "source_environment, or set allow_environment_mismatch.",
            errors=[FieldError(f"{source} is not {instance.environment}.", pointer="#/source_environment")],
        )
