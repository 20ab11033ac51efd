"""The job of an erasure: first the books, in one transaction; then every other table, in bounded batches.

Each batch looks for what is still there, so one that was killed begins anew behind the books and finds less to do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog

from app.access.resealing import SEALED
from app.core.database import Connection
from app.core.faults import is_database_fault
from app.erasure.books import out_of_books, traces_of
from app.erasure.plans import out_of_plans
from app.erasure.requests import sealing_context
from app.erasure.runs import are_unfinished, next_runs, out_of_run
from app.erasure.sweeps import Sweep
from app.erasure.tables import LAST_SWEEPS, SWEEPS
from app.erasure.traces import Eraser, Traces
from app.sync.leased import Again
from app.sync.runtime import Runtime
from app.sync.shared_people import own_people, share_people
from app.vault import VaultError

log = structlog.get_logger()

# A batch waits so long for others that write the same rows; they wait behind it as long, so it is short.
PATIENCE_S = 1.0
WAIT_S = 2.0
# From the last statement on the books to the moment when all see it.
COMMITTED_WITHIN = timedelta(minutes=1)
_ANSWERS = next(each for each in SEALED if each.table == "idempotency_records")

_OPEN = "SELECT sealed, erased_at FROM erasures WHERE person_id = $1 AND finished_at IS NULL"
_FORGOTTEN = "UPDATE erasures SET sealed = $2, erased_at = clock_timestamp() WHERE person_id = $1 RETURNING erased_at"
_FINISHED = "UPDATE erasures SET sealed = $3, finished_at = now() WHERE person_id = $1 AND erased_at = $2"
_SYNCS = "SELECT EXISTS (SELECT FROM syncs WHERE status = 'running' AND started_at <= $1)"
_KEPT = "SELECT caller, path, key, sealed_answer FROM idempotency_records WHERE created_at <= $1"
_DROP = "DELETE FROM idempotency_records WHERE caller = $1 AND path = $2 AND key = $3 AND sealed_answer = $4"


class _Answer(msgspec.Struct):
    body: bytes


class _Later(Exception):  # it is an order, not a fault
    """Something that began before the books forgot is still under way, or the process ends."""

    def __init__(self, in_s: float) -> None:
        super().__init__(in_s)
        self.in_s = in_s


@dataclass(frozen=True, slots=True)
class _Erasure:
    """until  when everybody saw books without the person; what began before may have seen others."""

    runtime: Runtime
    connection: Connection
    stopping: asyncio.Event
    until: datetime
    eraser: Eraser

    def go_on(self) -> None:
        if self.stopping.is_set():
            raise _Later(0)


async def run_erasure(runtime: Runtime, person_id: UUID, stopping: asyncio.Event) -> Again | None:
    """Erase a person whose erasure was asked for. None once that is done, by whomever; else when to go on."""
    try:
        connection = await runtime.database.connect()
    except (OSError, asyncpg.PostgresError):
        return Again(WAIT_S)
    try:
        # Ends with the connection, however the process ends.
        if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 1))", str(person_id)):
            return Again(WAIT_S)
        await _erase(runtime, connection, person_id, stopping)
    except _Later as later:
        return Again(later.in_s)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return Again(0.5)
    except Exception as error:
        if not is_database_fault(error):
            log.exception("erasure.fault", person_id=str(person_id))
            return Again(60)
        log.warning("erasure.database_lost", error=type(error).__name__)
        return Again(WAIT_S)
    finally:
        await connection.close()
    return None


async def _erase(
    runtime: Runtime, connection: asyncpg.Connection[Any], person_id: UUID, stopping: asyncio.Event
) -> None:
    asked = await connection.fetchrow(_OPEN, person_id)
    if asked is None:
        return
    context = sealing_context(person_id)
    known = runtime.vault.open(asked["sealed"], context=context)
    traces = msgspec.json.decode(known, type=Traces) if known else Traces(person_id, frozenset(), frozenset())
    erased_at = asked["erased_at"]
    if erased_at is None:
        async with connection.transaction():
            await own_people(connection, PATIENCE_S)
            traces = traces.joined(await traces_of(connection, person_id))
            await out_of_books(connection, traces)
            sealed = runtime.vault.seal(msgspec.json.encode(traces), context=context)
            erased_at = await connection.fetchval(_FORGOTTEN, person_id, sealed)
    work = _Erasure(runtime, connection, stopping, erased_at + COMMITTED_WITHIN, Eraser(traces))
    await _clean(work)
    nothing = runtime.vault.seal(b"", context=context)
    await connection.execute(_FINISHED, person_id, erased_at, nothing)
    log.info("person.erased", person_id=str(person_id))


async def _clean(work: _Erasure) -> None:
    """Everything but the books. Raises _Later."""
    async with work.connection.transaction():
        await _be_patient(work.connection)
        plans_done = await out_of_plans(work.connection, work.eraser.traces, work.until)
    for sweep in SWEEPS:
        await _sweep(work, sweep)
    await _clean_runs(work)
    await _drop_answers(work)
    if not plans_done or await work.connection.fetchval(_SYNCS, work.until):
        raise _Later(WAIT_S)
    for sweep in LAST_SWEEPS:
        await _sweep(work, sweep)


async def _sweep(work: _Erasure, sweep: Sweep) -> None:
    after, more = tuple(sweep.key.values()), True
    while more:
        work.go_on()
        upto = await sweep.next_end(work.connection, after)
        async with work.connection.transaction():
            await _be_patient(work.connection)
            if sweep.people:
                await share_people(work.connection)
            for row in await sweep.rows(work.connection, work.eraser.patterns, after, upto):
                await sweep.write(work.connection, work.eraser, row)
        after, more = upto or after, upto is not None


async def _clean_runs(work: _Erasure) -> None:
    if await are_unfinished(work.connection, work.until):
        raise _Later(WAIT_S)
    after = UUID(int=0)
    while runs := await next_runs(work.connection, work.until, after):
        for run_id in runs:
            work.go_on()
            async with work.connection.transaction():
                await out_of_run(work.connection, run_id, work.eraser)
        after = runs[-1]


async def _drop_answers(work: _Erasure) -> None:
    """Kept answers of POSTs that name the person: who sends one of these again does it anew."""
    async with work.connection.transaction():
        async for row in work.connection.cursor(_KEPT, work.until, prefetch=50):
            try:
                plain = work.runtime.vault.open(row["sealed_answer"], context=_ANSWERS.context_of(row))
            except VaultError:
                continue  # nobody can read it any more
            if work.eraser.is_in(msgspec.json.decode(plain, type=_Answer).body.decode()):
                await work.connection.execute(_DROP, *row.values())


async def _be_patient(connection: Connection) -> None:
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", f"{int(PATIENCE_S * 1000)}ms")
