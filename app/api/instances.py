"""Instances: configured connections, drafted, launched, stopped and started again."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import credentials, detection, instances
from app.access.audit import audit
from app.access.principal import Principal
from app.api.accounts import Prefix
from app.api.credentials import CheckAnswer, checked
from app.api.deps import Admin, Books, Operator, Runtime, Session, Viewer
from app.api.instance_bodies import (
    Environment,
    InstanceAnswer,
    InstancePatch,
    InstanceStatus,
    MappingAnswer,
    MappingBody,
    NewInstance,
)
from app.api.lists import ListOf, Page, list_answer, paging, select_page
from app.api.openapi import problems
from app.api.resources import answer, require_match
from app.api.syncs import SyncAnswer, answer_syncs, location
from app.api.unit_of_work import Route
from app.core.errors import Conflict, FieldError
from app.models import Instance, Sync
from app.sync.removal import hold_sync
from app.sync.story import SyncFilter, sync_as_json

router = APIRouter(prefix="/v1/instances", tags=["Instances"], route_class=Route)

Confirm = Annotated[str | None, Query(description="The instance's name.", examples=["PingOne production"])]
BY_NAME = func.lower(Instance.name).collate("C")


def shown(instance: Instance) -> InstanceAnswer:
    return InstanceAnswer.model_validate(instance)


@router.get("", operation_id="list_instances", response_model=ListOf[InstanceAnswer])
async def list_instances(
    request: Request,
    _caller: Viewer,
    session: Session,
    page: Annotated[Page, Depends(paging("name"))],
    connector: Annotated[str | None, Query(examples=["pingone"])] = None,
    status: InstanceStatus | None = None,
    environment: Environment | None = None,
    q: Prefix = None,
) -> Response:
    """Instances, newest first."""
    statement = select(Instance)
    if q is not None:
        statement = statement.where(func.lower(Instance.name).startswith(q.lower(), autoescape=True))
    wanted = {Instance.connector: connector, Instance.status: status, Instance.environment: environment}
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(column == value)
    found = await select_page(session, statement, page, identity=Instance.id, sorts={"name": BY_NAME})
    return list_answer(request, page, [shown(i) for i in found.items], last=found.last, total=found.total)


@router.post(
    "", operation_id="create_instance", status_code=201, response_model=InstanceAnswer, responses=problems(409)
)
async def create_instance(
    request: Request, caller: Admin, session: Session, runtime: Runtime, body: NewInstance
) -> Response:
    """Draft a connection. It syncs once it is launched."""
    instance = await instances.create(session, runtime.settings, _sent(body), by=caller)
    _audit(session, caller, request, "created", instance, None, shown(instance).model_dump())
    return answer(request, shown(instance), 201, location=f"{router.prefix}/{instance.id}")


@router.get("/{instance_id}", operation_id="get_instance", response_model=InstanceAnswer)
async def get_instance(request: Request, _caller: Viewer, session: Session, instance_id: UUID) -> Response:
    """One instance."""
    return answer(request, shown(await instances.get(session, instance_id)))


@router.patch("/{instance_id}", operation_id="update_instance", response_model=InstanceAnswer, responses=problems(409))
async def update_instance(
    request: Request, caller: Admin, session: Session, runtime: Runtime, instance_id: UUID, body: InstancePatch
) -> Response:
    """Change an instance by a JSON merge patch; stop it, or start it again."""
    sent = _sent(body)
    status = sent.pop("status", None)
    if status == "live":
        await _try(session, runtime, instance_id, sent)
    if status == "inactive":
        await hold_sync(session, instance_id)
    instance = await instances.get(session, instance_id, lock=True)
    before = shown(instance)
    require_match(request, before)
    if sent:
        await instances.change(session, runtime.settings, instance, sent)
        if instance.sync["detection"] != before.sync.detection:
            await detection.regroup(session, instance, by=caller)
    if status == "live":
        await instances.resume(session, instance, by=caller)
    elif status == "inactive":
        await instances.stop(session, instance, by=caller)
    _audit(session, caller, request, "updated", instance, before.model_dump(), shown(instance).model_dump())
    return answer(request, shown(instance))


@router.delete(
    "/{instance_id}",
    operation_id="delete_instance",
    status_code=202,
    response_model=InstanceAnswer,
    responses=problems(409),
)
async def delete_instance(
    request: Request, caller: Admin, session: Session, instance_id: UUID, confirm: Confirm = None
) -> Response:
    """Delete an instance with all that it brought. It is `deleting` until its rows are gone, then 404."""
    await hold_sync(session, instance_id)
    instance = await instances.get(session, instance_id, lock=True)
    before = shown(instance)
    require_match(request, before)
    await instances.remove(session, instance, confirm)
    _audit(session, caller, request, "deleted", instance, before.model_dump(), None)
    return answer(request, shown(instance), 202)


@router.delete(
    "/{instance_id}/accounts",
    operation_id="delete_accounts_of_instance",
    status_code=202,
    response_model=InstanceAnswer,
    responses=problems(409),
)
async def delete_accounts_of_instance(
    request: Request, caller: Admin, session: Session, instance_id: UUID, confirm: Confirm = None
) -> Response:
    """Delete an instance's accounts, and the people whom nobody else knows; its next sync brings them back."""
    await hold_sync(session, instance_id)
    instance = await instances.get(session, instance_id, lock=True)
    require_match(request, shown(instance))
    await instances.remove_accounts(session, instance, confirm)
    audit(
        session, caller, request, "account.deleted", "instance", instance.id, instance.name, {"accounts": "all"}, None
    )
    return answer(request, shown(instance), 202)


@router.get("/{instance_id}/mapping", operation_id="get_mapping", response_model=MappingAnswer)
async def get_mapping(request: Request, _caller: Viewer, session: Session, instance_id: UUID) -> Response:
    """How the vendor's fields become those of people and accounts."""
    return answer(request, {"items": (await instances.get(session, instance_id)).mapping})


@router.put(
    "/{instance_id}/mapping", operation_id="replace_mapping", response_model=MappingAnswer, responses=problems(409)
)
async def replace_mapping(
    request: Request, caller: Admin, session: Session, instance_id: UUID, body: MappingBody
) -> Response:
    """Replace the mapping; the next sync applies it to everybody."""
    instance = await instances.get(session, instance_id, lock=True)
    before = {"items": instance.mapping}
    require_match(request, before)
    await instances.set_mapping(session, instance, [row.model_dump() for row in body.items])
    after = {"items": instance.mapping}
    _audit(session, caller, request, "updated", instance, {"mapping": before["items"]}, {"mapping": after["items"]})
    return answer(request, after)


@router.post(
    "/{instance_id}/launch",
    operation_id="launch_instance",
    status_code=202,
    response_model=SyncAnswer,
    responses=problems(409),
)
async def launch_instance(request: Request, caller: Admin, session: Session, instance_id: UUID) -> Response:
    """Make a draft live and start its initial sync; 409 with `errors` for all that is missing."""
    instance = await instances.get(session, instance_id, lock=True)
    before = shown(instance).model_dump()
    sync = await instances.launch(session, instance, by=caller)
    _audit(session, caller, request, "updated", instance, before, shown(instance).model_dump())
    return _watch(request, sync)


@router.post("/{instance_id}/check", operation_id="check_instance", response_model=CheckAnswer, responses=problems(409))
async def check_instance(_caller: Operator, session: Session, runtime: Runtime, instance_id: UUID) -> CheckAnswer:
    """Try the instance's credential at its vendor, with the instance's options. 200 also when it is not ok."""
    instance = await instances.get(session, instance_id)
    if instance.credential_id is None:
        missing = [FieldError("Choose a credential.", pointer="#/credential_id")]
        raise Conflict("This instance has no credential to check.", errors=missing)
    credential = await credentials.get(session, instance.credential_id)
    await session.commit()  # the vendor is called with no transaction open
    found = await credentials.check(runtime, credential, instance.options)
    await credentials.note_proof(session, credential, found)
    return checked(found)


@router.post(
    "/{instance_id}/syncs",
    operation_id="create_sync",
    status_code=202,
    response_model=SyncAnswer,
    responses=problems(409),
)
async def create_sync(request: Request, caller: Operator, session: Session, instance_id: UUID) -> Response:
    """Sync now; 409 with `sync_id` while a sync of the instance runs."""
    instance = await instances.get(session, instance_id, lock=True)
    sync = await instances.sync_now(session, instance, by=caller)
    audit(session, caller, request, "sync.created", "sync", sync.id, instance.name, None, {"instance_id": instance.id})
    return _watch(request, sync)


@router.get("/{instance_id}/syncs", operation_id="list_syncs_of_instance", response_model=ListOf[SyncAnswer])
async def list_syncs_of_instance(
    request: Request,
    _caller: Viewer,
    session: Session,
    database: Books,
    instance_id: UUID,
    page: Annotated[Page, Depends(paging())],
) -> Response:
    """The instance's syncs, newest first."""
    await instances.get(session, instance_id)
    await session.commit()  # one connection at a time
    return await answer_syncs(request, database.pool.fetch, page, SyncFilter(instance_id=instance_id))


async def _try(session: AsyncSession, runtime: Runtime, instance_id: UUID, sent: dict[str, Any]) -> None:
    """Ask the vendor before the instance becomes live. Raises Conflict with the reason; nothing has changed then."""
    instance = await instances.get(session, instance_id)
    asked = await instances.trial(session, runtime.settings, instance, sent)
    await session.commit()  # the vendor is called with no transaction open
    if asked is None:
        return
    credential, options = asked
    found = await credentials.check(runtime, credential, options)
    if not found.ok:
        raise Conflict(f"The credential does not do, so the instance stays inactive: {found.detail}", code=found.code)
    await credentials.note_proof(session, credential, found)


def _sent(body: NewInstance | InstancePatch) -> dict[str, Any]:
    """What was sent, with the two members that are merge patches of their own."""
    sent = body.sent()
    for member in ("sync", "schedule"):
        if sent.get(member) is not None:
            sent[member] = sent[member].sent()
    return sent


def _watch(request: Request, sync: Sync) -> Response:
    return answer(request, sync_as_json(sync), 202, location=location(sync.id))


def _audit(
    session: AsyncSession,
    caller: Principal,
    request: Request,
    what: str,
    instance: Instance,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    audit(session, caller, request, f"instance.{what}", "instance", instance.id, instance.name, before, after)
