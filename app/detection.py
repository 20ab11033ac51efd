"""What a sign-on provider's entries add up to, as people say: one label split off, two applications joined.

Syncs keep the choice: an entry that was put somewhere by a person (`placed`) stays there whatever the detection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.core.clock import now
from app.core.errors import Conflict, FieldError, InvalidInput
from app.core.ids import new_id
from app.models import Application, ApplicationEntry, History, Instance, Sync
from app.sync import regrouping
from app.sync.requests import UNFINISHED


async def split(
    session: AsyncSession, instance: Instance, application_id: UUID, vendor_id: str, name: str | None, *, by: Principal
) -> Application:
    """A new application of the entry `vendor_id`, with the accounts, days and history that are known to be the entry's.

    A user of this entry and another has an account in both. The caller holds the instance, so that no sync is asked for
    meanwhile. Raises InvalidInput, Conflict.
    """
    await _require_rest(session, instance)
    origin = await _detected(session, instance.id, application_id, "application_id")
    entries = await _entries(session, origin)
    chosen = next((entry for entry in entries if entry.vendor_id == vendor_id), None)
    if chosen is None:
        raise InvalidInput.at("#/vendor_id", "The application has no label with this vendor_id; `labels` lists them.")
    if len(entries) == 1:
        raise Conflict("This label is the whole application; there is nothing to split it from.")
    chosen.placed = True
    if len(entries) == 2:
        (left,) = (entry for entry in entries if entry is not chosen)
        origin.vendor_id = left.vendor_id
        origin.name = origin.name if origin.named or origin.key.startswith("definition:") else left.label
    made = _made_of(origin, chosen, name)
    await _take_off(session, instance, origin, chosen, made, by)
    return made


async def merge(
    session: AsyncSession, instance: Instance, application_id: UUID, into_id: UUID, *, by: Principal
) -> Application:
    """Join an application into another, with accounts, days and history; the other keeps its name.

    A vendor user with seats in both has one account, whose days are the union. The caller holds the instance, as for a
    split. Raises InvalidInput, Conflict.
    """
    await _require_rest(session, instance)
    if application_id == into_id:
        raise InvalidInput.at("#/into", "Name another application than the one to be joined into it.")
    origin = await _detected(session, instance.id, application_id, "application_id")
    into = await _detected(session, instance.id, into_id, "into")
    for entry in [*await _entries(session, origin), *await _entries(session, into)]:
        entry.placed = True
    into.named = True
    await _join(session, instance, origin, into, by)
    return into


async def regroup(session: AsyncSession, instance: Instance, *, by: Principal) -> None:
    """After a change of `sync.detection`: what is known of the entries moves to the applications they now make, with
    accounts, days and history; entries that a person has placed stay. The next sync names the applications anew.

    The caller holds the instance, as for a split. Raises Conflict while a sync of the instance runs.
    """
    await _require_rest(session, instance)
    applications = await session.scalars(
        select(Application)
        .where(Application.instance_id == instance.id, Application.kind == "detected")
        .order_by(Application.id)
        .with_for_update()
    )
    for application in applications.all():
        entries = await _entries(session, application)
        if not entries or any(entry.placed for entry in entries):
            continue
        if instance.sync["detection"] == "display_name":
            await _group(session, instance, application, entries[0], by)
        else:
            await _ungroup(session, instance, application, entries, by)


async def _group(
    session: AsyncSession, instance: Instance, application: Application, entry: ApplicationEntry, by: Principal
) -> None:
    """The application of a label becomes, or joins, that of the label's definition."""
    key = f"definition:{entry.definition}"
    known = select(Application).where(Application.instance_id == instance.id, Application.key == key)
    into = await session.scalar(known)
    if into is None:
        application.key = key
        await session.flush()
    elif into is not application:
        await _join(session, instance, application, into, by)


async def _ungroup(
    session: AsyncSession,
    instance: Instance,
    application: Application,
    entries: list[ApplicationEntry],
    by: Principal,
) -> None:
    """The application of a definition keeps the first of its labels; each other one gets its own."""
    for entry in entries[1:]:
        made = _made_of(application, entry, None)
        made.key = f"entry:{entry.vendor_id}"
        await _take_off(session, instance, application, entry, made, by)
    application.key, application.vendor_id = f"entry:{entries[0].vendor_id}", entries[0].vendor_id
    await session.flush()


async def _join(
    session: AsyncSession, instance: Instance, origin: Application, into: Application, by: Principal
) -> None:
    await regrouping.remember(session, instance.id, [origin.id, into.id])
    await regrouping.join_accounts(session, origin.id, into.id, by.as_actor())
    for entry in await _entries(session, origin):
        entry.application_id = into.id
    into.vendor_id, into.updated_at = None, now()
    if origin.status == "active":
        into.status = "active"
    into.catalog_id = into.catalog_id or origin.catalog_id
    _note(session, into, "updated", by, {}, {"joined": str(origin.id), "joined_name": origin.name})
    await session.flush()
    await session.delete(origin)
    await session.flush()


async def _take_off(
    session: AsyncSession,
    instance: Instance,
    origin: Application,
    entry: ApplicationEntry,
    made: Application,
    by: Principal,
) -> None:
    session.add(made)
    await session.flush()
    entry.application_id = made.id
    origin.updated_at = now()
    shown: dict[str, Any] = {
        "name": made.name, "kind": "detected", "vendor_id": entry.vendor_id, "status": made.status,
    }  # fmt: skip
    _note(session, made, "created", by, None, {**shown, "split_from": str(origin.id)})
    await session.flush()
    await regrouping.move_entry(session, instance.id, entry.vendor_id, origin.id, made.id)


def _made_of(origin: Application, entry: ApplicationEntry, name: str | None) -> Application:
    made_id, at = new_id(), now()
    return Application(
        id=made_id,
        instance_id=origin.instance_id,
        key=f"split:{made_id}",
        kind="detected",
        vendor_id=entry.vendor_id,
        name=name or entry.label,
        named=name is not None,
        status="active" if entry.active else "inactive",
        access=entry.access,
        listed=entry.listed,
        catalog_id=origin.catalog_id,
        catalog_chosen=origin.catalog_chosen,
        owner=origin.owner,
        category=origin.category,
        uploaded_by=origin.uploaded_by,
        created_at=at,
        updated_at=at,
    )


async def _require_rest(session: AsyncSession, instance: Instance) -> None:
    """Raises Conflict with `sync_id` while a sync of the instance runs."""
    running = await session.scalar(select(Sync.id).where(Sync.instance_id == instance.id, Sync.status.in_(UNFINISHED)))
    if running is not None:
        raise Conflict("A sync of this instance runs; wait for its end, or cancel it.", sync_id=str(running))


async def _detected(session: AsyncSession, instance_id: UUID, application_id: UUID, member: str) -> Application:
    application = await session.get(Application, application_id, with_for_update=True)
    if application is None or application.instance_id != instance_id:
        raise InvalidInput([FieldError("This instance has no application with this id.", pointer=f"#/{member}")])
    if application.kind != "detected":
        raise InvalidInput([FieldError("This is the vendor itself; name a detected application.", f"#/{member}")])
    return application


async def _entries(session: AsyncSession, application: Application) -> list[ApplicationEntry]:
    found = select(ApplicationEntry).where(ApplicationEntry.application_id == application.id)
    return list(await session.scalars(found.order_by(ApplicationEntry.vendor_id)))


def _note(
    session: AsyncSession,
    application: Application,
    action: str,
    by: Principal,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
) -> None:
    session.add(
        History(
            kind="applications",
            object_id=application.id,
            name=application.name,
            action=action,
            before=None if before is None else dict(before),
            after=dict(after),
            instance_id=application.instance_id,
            actor=by.as_actor(),
        )
    )
