"""The life of an instance: drafted, launched, changed, stopped and started again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.principal import Principal
from app.activity.keyset import fetch_in
from app.connectors import registry
from app.connectors.manifest import Manifest
from app.core.clock import database_now, now
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.schedule import next_fire, schedule_errors
from app.core.settings import Settings
from app.events.publish import publish
from app.models import CoverageYear, Credential, Instance, Sync
from app.sync import removal
from app.sync.custom_fields import converters
from app.sync.filters import filter_errors
from app.sync.mapping_rules import mapping_errors, missing_targets
from app.sync.options import option_errors
from app.sync.requests import UNFINISHED, Trigger, cancel_sync, request_sync
from app.sync.settings import DEFAULT_SCHEDULE, REREAD, merged_schedule, merged_sync

Sent = Mapping[str, Any]
_PLAIN = ("name", "environment", "credential_id", "contacts")
# Where to knock, not what is read: a change of these alone keeps what was covered.
_ADDRESSES = frozenset({"api_url", "auth_url"})


async def create(session: AsyncSession, settings: Settings, sent: Sent, *, by: Principal) -> Instance:
    """Keep a new draft. `sent` has name and connector at least; what it lacks gets its default.

    Raises InvalidInput that names each bad field, Conflict for a name in use.
    """
    if sent["connector"] not in registry.MANIFESTS:
        raise InvalidInput.at("#/connector", f"There is no such connector; there are {', '.join(registry.MANIFESTS)}.")
    manifest = registry.manifest(sent["connector"])
    if not manifest.streams:
        uses = " and ".join(manifest.capabilities).replace("_", " ")
        raise InvalidInput.at(
            "#/connector",
            f"{manifest.name} brings nobody into the books, so no instance syncs it; its credentials serve {uses}.",
        )
    at = now()
    instance = Instance(
        id=new_id(),
        connector=manifest.key,
        options={},
        sync=merged_sync({}, None),
        schedule=None if "schedule" in sent else dict(DEFAULT_SCHEDULE),
        mapping=[full_row({"source": row.source, "target": row.target}) for row in manifest.default_mapping],
        contacts=[],
        owner=settings.integration_user,
        status="draft",
        created_by=by.as_creator(),
        created_at=at,
        updated_at=at,
    )
    await _apply(session, settings, instance, sent)
    session.add(instance)
    await session.flush()
    return instance


async def get(session: AsyncSession, instance_id: UUID, *, lock: bool = False) -> Instance:
    """One instance; with `lock` nobody else changes it meanwhile. Raises NotFound."""
    # Not FOR UPDATE, which would wait for every sync that writes rows of the instance.
    instance = await session.get(Instance, instance_id, with_for_update={"key_share": True} if lock else None)
    if instance is None:
        raise NotFound("There is no instance with this id.")
    return instance


async def change(session: AsyncSession, settings: Settings, instance: Instance, sent: Sent) -> None:
    """Apply a merge patch to all but the status. Raises InvalidInput, Conflict."""
    refuse_deleting(instance)
    await _apply(session, settings, instance, sent)
    if instance.status == "live":
        _require_complete(await missing(session, instance))
    if "schedule" in sent and instance.status == "live":
        instance.next_sync_at = next_fire(instance.schedule, instance.id, await database_now(session))
    instance.updated_at = now()
    await session.flush()


async def set_mapping(session: AsyncSession, instance: Instance, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the mapping. A draft's may be incomplete. Raises InvalidInput, Conflict."""
    refuse_deleting(instance)
    custom = await converters(fetch_in(session))
    errors = mapping_errors(rows, [field.name for field in registry.manifest(instance.connector).fields], custom)
    if not errors and instance.status != "draft":
        errors = [FieldError(each.detail, pointer="#/items") for each in missing_targets(rows)]
    if errors:
        raise InvalidInput(errors)
    instance.mapping = [full_row(row) for row in rows]
    instance.updated_at = now()
    await session.flush()


async def missing(session: AsyncSession, instance: Instance) -> list[FieldError]:
    """What an instance lacks to sync, one each, with its place."""
    manifest = registry.manifest(instance.connector)
    credential = await session.get(Credential, instance.credential_id) if instance.credential_id else None
    errors = []
    if credential is None:
        errors.append(FieldError("Choose a credential.", pointer="#/credential_id"))
    options = {**(credential.options if credential else {}), **instance.options}
    return [
        *errors,
        *manifest.missing_options(options),
        *manifest.option_errors(options),
        *missing_targets(instance.mapping),
    ]


async def launch(session: AsyncSession, instance: Instance, *, by: Principal) -> Sync:
    """Make a draft live and ask for its initial sync. Raises Conflict, with `errors` for what is missing."""
    refuse_deleting(instance)
    if instance.status != "draft":
        hint = "ask for a sync instead" if instance.status == "live" else 'change it with {"status": "live"} instead'
        raise Conflict(f"This instance was launched already; {hint}.")
    _require_complete(await missing(session, instance))
    instance.launched_at = now()
    sync = await _go_live(session, instance, trigger="launch", by=by)
    await publish(session, "instance.launched", {**_subjects(instance), "sync_id": sync.id})
    return sync


async def sync_now(session: AsyncSession, instance: Instance, *, by: Principal) -> Sync:
    """Ask for a sync beside the schedule. Raises Conflict, with `sync_id` while one is unfinished."""
    await require_ready(session, instance)
    return await request_sync(session, instance, trigger="manual", by=by.as_creator())


async def require_ready(session: AsyncSession, instance: Instance) -> None:
    """Raises Conflict for an instance that is not live, or lacks what it takes to sync."""
    if instance.status != "live":
        hints = {"draft": "Launch it first.", "inactive": 'Change it with {"status": "live"} first.'}
        raise Conflict(f"This instance is {instance.status}. {hints.get(instance.status, '')}".strip())
    _require_complete(await missing(session, instance))


async def trial(
    session: AsyncSession, settings: Settings, instance: Instance, sent: Sent
) -> tuple[Credential, dict[str, Any]] | None:
    """What to try before the instance may become live: the credential and options it would have with the patch.

    None where it is live already. Raises InvalidInput, Conflict.
    """
    refuse_deleting(instance)
    if instance.status == "draft":
        raise Conflict("This instance is a draft. Launch it instead.")
    if instance.status == "live":
        return None
    manifest = registry.manifest(instance.connector)
    credential = await _credential(session, manifest, sent.get("credential_id", instance.credential_id))
    if credential is None:
        raise Conflict("Something is missing.", errors=[FieldError("Choose a credential.", pointer="#/credential_id")])
    options = _merged(instance.options, sent.get("options"))
    if errors := option_errors(manifest, options, settings.outbound_allow):
        raise InvalidInput(errors)
    return credential, options


async def resume(session: AsyncSession, instance: Instance, *, by: Principal) -> None:
    """Make an inactive instance live, whose credential was tried, and sync it at once; a live one stays as it is."""
    refuse_deleting(instance)
    if instance.status == "live":
        return
    _require_complete(await missing(session, instance))
    instance.inactive_reason = instance.inactive_detail = None
    sync = await _go_live(session, instance, trigger="reactivate", by=by)
    await publish(session, "instance.reactivated", {**_subjects(instance), "sync_id": sync.id})


async def stop(session: AsyncSession, instance: Instance, *, by: Principal) -> None:
    """Stop syncing and keep the data, marked stale; an inactive one stays as it is. Raises Conflict for a draft."""
    refuse_deleting(instance)
    if instance.status == "draft":
        raise Conflict("This instance is a draft and does not sync. Launch it, or leave it.")
    if instance.status == "inactive":
        return
    instance.status = "inactive"
    instance.inactive_reason = "user"
    instance.inactive_detail = f"{by.name} stopped it."
    instance.stale_since = instance.stale_since or now()
    instance.next_sync_at = None
    instance.updated_at = now()
    unfinished = select(Sync.id).where(Sync.instance_id == instance.id, Sync.status.in_(UNFINISHED))
    running = await session.scalar(unfinished)
    if running is not None:
        await cancel_sync(session, running)
    await publish(session, "instance.inactivated", {**_subjects(instance), "reason": instance.inactive_reason})
    await session.flush()


async def remove(session: AsyncSession, instance: Instance, confirm: str | None) -> None:
    """Begin the end of an instance and of everything it brought. Raises Conflict unless `confirm` is its name."""
    refuse_deleting(instance)
    _require_confirmation(instance, confirm)
    await removal.remove_instance(session, instance)


async def remove_accounts(session: AsyncSession, instance: Instance, confirm: str | None) -> None:
    """Take all accounts of an instance out of the books, until its next sync. Raises Conflict as `remove` does."""
    refuse_deleting(instance)
    _require_confirmation(instance, confirm)
    await removal.remove_accounts(session, instance)


def _require_confirmation(instance: Instance, confirm: str | None) -> None:
    if confirm != instance.name:
        given = "is missing" if confirm is None else "is not its name"
        raise Conflict(f"Nothing was deleted: `confirm` {given}. Repeat it with ?confirm=<the instance's name>.")


def refuse_deleting(instance: Instance) -> None:
    """Raises Conflict for an instance that is being deleted."""
    if instance.status == "deleting":
        raise Conflict("This instance is being deleted and takes no change.")


def full_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping row with every member."""
    return {
        "source": row["source"],
        "target": row["target"],
        "transform": row.get("transform"),
        "on": row.get("on") or "create_and_update",
        "default": row.get("default"),
    }


def _subjects(instance: Instance) -> dict[str, Any]:
    """How events name an instance."""
    return {"instance_id": instance.id, "instance": instance.name}


async def _go_live(session: AsyncSession, instance: Instance, *, trigger: Trigger, by: Principal) -> Sync:
    instance.status = "live"
    instance.next_sync_at = next_fire(instance.schedule, instance.id, await database_now(session))
    instance.skipped_fires = 0
    instance.updated_at = now()
    await session.flush()
    return await request_sync(session, instance, trigger=trigger, by=by.as_creator())


async def _apply(session: AsyncSession, settings: Settings, instance: Instance, sent: Sent) -> None:
    manifest = registry.manifest(instance.connector)
    if "name" in sent:
        await _require_free_name(session, instance.id, sent["name"])
    if "credential_id" in sent:
        await _credential(session, manifest, sent["credential_id"])
    options = _merged(instance.options, sent.get("options"))
    sync = merged_sync(instance.sync, sent.get("sync"))
    schedule = merged_schedule(instance.schedule, sent["schedule"]) if "schedule" in sent else instance.schedule
    types = {field.name: field.type for field in manifest.fields}
    errors = [
        *option_errors(manifest, options, settings.outbound_allow),
        *filter_errors(sync["filters"], types),
        *schedule_errors(schedule),
    ]
    if errors:
        raise InvalidInput(errors)
    if _reads_otherwise(instance, options, sync):
        await forget_coverage(session, instance)
    for member in _PLAIN:
        if member in sent:
            setattr(instance, member, sent[member])
    if "owner" in sent:
        instance.owner = sent["owner"] or settings.integration_user
    instance.contacts = instance.contacts or []
    instance.options, instance.sync, instance.schedule = options, sync, schedule


async def forget_coverage(session: AsyncSession, instance: Instance) -> None:
    """Let the next sync read the whole look-back again; until then no day counts as observed."""
    instance.activity_cursor = instance.covered_until = None
    await session.execute(delete(CoverageYear).where(CoverageYear.instance_id == instance.id))


def _reads_otherwise(instance: Instance, options: Mapping[str, Any], sync: Mapping[str, Any]) -> bool:
    """Whether the activity covered so far is not the activity of these settings."""
    changed = {
        name for name in options.keys() | instance.options.keys() if options.get(name) != instance.options.get(name)
    }
    return bool(changed - _ADDRESSES) or any(sync[name] != instance.sync[name] for name in REREAD)


async def _require_free_name(session: AsyncSession, instance_id: UUID, name: str) -> None:
    taken = select(Instance.id).where(Instance.name == name, Instance.id != instance_id)
    with session.no_autoflush:
        if await session.scalar(taken) is not None:
            raise Conflict("Another instance has this name; choose another.", errors=[FieldError("In use.", "#/name")])


async def _credential(session: AsyncSession, manifest: Manifest, credential_id: UUID | None) -> Credential | None:
    """Raises InvalidInput for one that does not exist or belongs to another connector."""
    if credential_id is None:
        return None
    credential = await session.get(Credential, credential_id, with_for_update={"read": True})
    if credential is None:
        raise InvalidInput.at("#/credential_id", "There is no credential with this id.")
    if credential.connector != manifest.key:
        raise InvalidInput.at(
            "#/credential_id", f"This credential is one for {credential.connector}, not {manifest.key}."
        )
    return credential


def _require_complete(errors: Sequence[FieldError]) -> None:
    if errors:
        raise Conflict("This instance is not complete; `errors` says what is missing.", errors=errors)


def _merged(old: Mapping[str, Any], patch: Mapping[str, Any] | None) -> dict[str, Any]:
    """A JSON merge patch of flat options: null takes one away."""
    return {name: value for name, value in {**old, **(patch or {})}.items() if value is not None}
