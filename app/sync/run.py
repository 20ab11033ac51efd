"""The conductor of one sync: claim it, read its streams in order, close the books, settle it.

Whatever ends a worker, the sync row tells the next one where to go on: `sync_reads` has the checkpoint of each stream,
and the lease says when it may be taken. A run settles its sync exactly once, because settling is fenced too.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from app.connectors import registry
from app.core.clock import now
from app.core.errors import CredentialRefused, InvalidOptions, VendorError
from app.core.faults import is_database_fault
from app.http.vendor import Event, Waiting
from app.models import Credential, Instance, Sync
from app.sync.close import forget_notes
from app.sync.connection import Connection, connect
from app.sync.finish import fail, fail_internally, succeed
from app.sync.lease import Lease, LeaseLost, claim
from app.sync.leased import Again, Stopping, while_renewing, work_under
from app.sync.plan_apply import apply_held, plan_of
from app.sync.plan_pages import Replay, replay
from app.sync.plan_settings import settings_digest
from app.sync.proof import prove
from app.sync.reads import Read
from app.sync.runtime import Runtime
from app.sync.scope import RunScope
from app.sync.staging import prepare
from app.sync.stream_activity import read_activity
from app.sync.stream_applications import read_applications, read_assignments
from app.sync.stream_users import read_users
from app.sync.tally import Tally
from app.sync.work import Work

log = structlog.get_logger()


class SecretsReplaced(Stopping):
    """The vendor refused secrets that have been replaced meanwhile; the run goes on with the new ones."""


async def run_sync(runtime: Runtime, sync_id: UUID, stopping: asyncio.Event) -> Again | None:
    """Run the sync from wherever it stands. None once it is settled, by whomever; else when to try again."""
    claimed = await claim(runtime.database, sync_id, worker=runtime.process_id, seconds=runtime.settings.lease_s)
    return await work_under(claimed, lambda lease: _run(runtime, lease, stopping), "sync", sync_id=sync_id)


async def _run(runtime: Runtime, lease: Lease, stopping: asyncio.Event) -> None:
    async with runtime.database.session() as session:
        sync = await session.get_one(Sync, lease.sync_id)
        instance = await session.get_one(Instance, sync.instance_id)
        credential = await session.get(Credential, instance.credential_id) if instance.credential_id else None
    connection = await runtime.database.connect()
    tally = Tally.begin(sync.progress, sync.counters, sync.vendor_calls, sync.throttled_seconds)
    state = _State(tally)
    try:
        if credential is None:
            raise InvalidOptions("The instance has no credential; set credential_id.")
        await prepare(connection)
        body = _read_and_close(runtime, lease, instance, credential, connection, state)
        await while_renewing(body, lambda: lease.renew(state.snapshot()), lease.seconds, stopping)
        await forget_notes(connection, instance.id)
    except VendorError as error:
        if isinstance(error, CredentialRefused) and await _replaced(connection, credential):
            raise SecretsReplaced from error
        log.warning("sync.failed", code=error.code, vendor_status=error.vendor_status, vendor_code=error.vendor_code)
        await fail(lease, connection, state.snapshot(), error, state.stream)
    except (LeaseLost, Stopping):
        raise
    except Exception as error:
        if is_database_fault(error):
            raise
        log.exception("sync.fault")
        await fail_internally(lease, connection, state.snapshot(), state.stream)
    finally:
        await connection.close()


async def _replaced(connection: asyncpg.Connection[Any], credential: Credential | None) -> bool:
    """Whether the credential has other secrets than when the run began."""
    if credential is None:
        return False
    sealed = await connection.fetchval("SELECT sealed FROM credentials WHERE id = $1", credential.id)
    return bool(sealed != credential.sealed)


@dataclass(slots=True)
class _State:
    """What is known of the run outside its streams: before the connection stands there is only the tally."""

    tally: Tally
    work: Work | None = None

    def snapshot(self) -> Any:
        return self.work.snapshot() if self.work is not None else self.tally.snapshot(0, 0.0)

    @property
    def stream(self) -> Any:
        return self.work.stream if self.work is not None else None

    def on_event(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self.tally.wait(event.reason, event.seconds)


async def _read_and_close(
    runtime: Runtime,
    lease: Lease,
    instance: Instance,
    credential: Credential,
    connection: asyncpg.Connection[Any],
    state: _State,
) -> None:
    plan = await plan_of(connection, lease.sync_id)
    manifest = registry.manifest(instance.connector)
    source: AbstractAsyncContextManager[Connection | Replay] = (
        connect(runtime, credential, instance.options, state.on_event)
        if plan is None
        else replay(runtime.database.pool, plan["id"], frozenset(manifest.streams))
    )
    async with source as link:
        work = state.work = Work(
            lease=lease,
            scope=scope_of(instance, credential, lease.sync_id, confirmed=plan is not None),
            instance=instance,
            credential_name=credential.name,
            manifest=manifest,
            connector=link.connector,
            client=link.client,
            connection=connection,
            tally=state.tally,
            began_at=now() if plan is None or plan["read_at"] is None else plan["read_at"],
        )
        if plan is not None and plan["reason"] is not None:
            await apply_held(work, plan)
            return
        reads = await read_streams(work)
        if plan is None:
            await prove(work, credential)
        while not await succeed(work, *reads):
            log.warning("sync.notes_lost")
            reads = await read_streams(work)


async def read_streams(work: Work) -> tuple[Read, Read | None, Read | None]:
    """All streams in order. Answers the reads of users, applications and activity."""
    streams = work.connector.streams if work.scope.accounts else frozenset({"users"})
    users = await read_users(work)
    applications = activity = None
    if "applications" in streams:
        applications = await read_applications(work)
        if "assignments" in streams:
            await read_assignments(work, applications)
    if "activity" in streams:
        activity = await read_activity(work)
    for stream, entry in work.tally.progress.items():
        entry["done"] = entry["done"] or stream not in streams
    return users, applications, activity


def scope_of(instance: Instance, credential: Credential, sync_id: UUID, *, confirmed: bool) -> RunScope:
    """What a run works on. confirmed: whether a person has seen whom it takes away."""
    settings = instance.sync
    return RunScope(
        instance_id=instance.id,
        sync_id=sync_id,
        accounts=settings["scope"] == "users_and_accounts",
        preference=settings["preference"],
        deactivate=settings["deactivate"],
        deactivation_limit_percent=settings["deactivation_limit_percent"],
        absence_scans=settings["absence_scans"],
        detection=settings["detection"],
        lookback_days=settings["lookback_days"],
        owner=instance.owner,
        restrict_access=settings["restrict_access"],
        person_role=settings["role"],
        username_format=settings["username_format"],
        filtered=bool(settings["filters"]),
        settings=settings_digest(instance, credential),
        confirmed=confirmed,
    )
