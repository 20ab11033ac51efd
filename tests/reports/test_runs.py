from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any
from uuid import UUID

import pytest

from app.core.database import Connection
from app.core.ids import new_id
from app.reports import run as running
from app.reports.files import RowsGone, file_of
from app.reports.retention import forget_runs
from app.reports.run import run_report
from app.reports.run_lease import RunLease, claim_run
from app.reports.run_requests import REPORT_JOB, adopt_runs
from app.reports.snapshot import take
from app.sync.lease import LeaseLost
from app.sync.leased import Again
from app.sync.runtime import Runtime
from tests.api.books import Books
from tests.reports.answering import answered, asked, downloaded, many_seats, of, read, report, rows, seats


@pytest.fixture
def books(runtime: Runtime) -> Books:
    return Books(runtime.database)


async def events_of(runtime: Runtime, run_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    found = await runtime.database.pool.fetch("SELECT type, data FROM events WHERE data ->> 'run_id' = $1", str(run_id))
    return [(event["type"], event["data"]) for event in found]


async def chunks_of(runtime: Runtime, run_id: UUID) -> int:
    count: int = await runtime.database.pool.fetchval("SELECT count(*) FROM report_chunks WHERE run_id = $1", run_id)
    return count


async def until_running(runtime: Runtime, run_id: UUID) -> None:
    while True:
        if (await read(runtime, run_id)).status == "running":
            return
        await asyncio.sleep(0.02)


async def end_lease(runtime: Runtime, run_id: UUID) -> None:
    await runtime.database.pool.execute(
        "UPDATE report_runs SET lease_until = now() - interval '1 s' WHERE id = $1", run_id
    )


async def test_a_run_is_told_once_it_stands(runtime: Runtime, books: Books) -> None:
    saved = await report(runtime, name="Seats", filters=of(await seats(books, ["Ada", "Eve"])))
    run = await answered(runtime, saved)
    assert (run.status, run.total_rows, run.failure, run.fence) == ("succeeded", 2, None, 1)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.as_of is not None
    assert run.started_at <= run.as_of <= run.finished_at
    ((type_, data),) = await events_of(runtime, run.id)
    assert type_ == "report.completed"
    assert data.pop("url").endswith(f"/v1/report-runs/{run.id}/rows?format=ndjson")
    assert data == {
        "report_id": str(saved.id), "report": "Seats", "run_id": str(run.id), "total_rows": 2, "window": run.window,
        "digest": run.digest,
    }  # fmt: skip
    assert await run_report(runtime, run.id, asyncio.Event()) is None
    assert len(await events_of(runtime, run.id)) == 1


async def test_a_definition_that_no_longer_fits_fails_and_says_why(runtime: Runtime) -> None:
    run = await answered(runtime, columns=["name", "fields.gone"])
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure["code"] == "invalid_definition"
    assert "fields.gone" in run.failure["detail"]
    ((type_, data),) = await events_of(runtime, run.id)
    assert (type_, data["reason"]) == ("report.failed", run.failure["detail"])


async def test_a_fault_fails_the_run_and_tells_nobody_what_it_was(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_given: Any) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(running, "take", broken)
    run = await answered(runtime)
    assert run.failure is not None
    assert (run.status, run.failure["code"]) == ("failed", "internal")
    assert "secret" not in run.failure["detail"]
    assert await run_report(runtime, run.id, asyncio.Event()) is None


async def test_a_run_whose_process_died_is_taken_up_by_another(runtime: Runtime, books: Books) -> None:
    run_id = await asked(runtime, await report(runtime, filters=of(await seats(books, ["Ada"]))))
    dead = await claim_run(runtime.database, run_id, seconds=60)
    assert isinstance(dead, RunLease)
    assert isinstance(await run_report(runtime, run_id, asyncio.Event()), Again)
    await end_lease(runtime, run_id)
    assert await run_report(runtime, run_id, asyncio.Event()) is None
    run = await read(runtime, run_id)
    assert (run.status, run.fence, await chunks_of(runtime, run_id)) == ("succeeded", 2, 1)
    with pytest.raises(LeaseLost):
        await dead.renew()
    async with runtime.database.transaction() as connection:
        with pytest.raises(LeaseLost):
            await dead.hold(connection)


async def test_a_process_that_comes_back_late_changes_nothing(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its snapshot and its end another has taken the run up."""
    run_id = await asked(runtime, await report(runtime, filters=of(await seats(books, ["Ada"]))))

    async def slow(connection: Connection, *given: Any) -> Any:
        found = await take(connection, *given)
        await runtime.database.pool.execute("UPDATE report_runs SET fence = fence + 1 WHERE id = $1", run_id)
        return found

    monkeypatch.setattr(running, "take", slow)
    assert await run_report(runtime, run_id, asyncio.Event()) is None
    assert ((await read(runtime, run_id)).status, await chunks_of(runtime, run_id)) == ("running", 0)
    assert await events_of(runtime, run_id) == []
    monkeypatch.setattr(running, "take", take)
    await end_lease(runtime, run_id)
    await run_report(runtime, run_id, asyncio.Event())
    assert ((await read(runtime, run_id)).status, await chunks_of(runtime, run_id)) == ("succeeded", 1)


async def test_a_process_that_ends_hands_the_run_on(runtime: Runtime) -> None:
    run_id = await asked(runtime, await report(runtime))
    stopping = asyncio.Event()
    stopping.set()
    again = await run_report(runtime, run_id, stopping)
    run = await read(runtime, run_id)
    # It may have been quicker than the order to stop.
    assert (again, run.lease_until) == (Again(0), None) or run.status == "succeeded"
    assert await run_report(runtime, run_id, asyncio.Event()) is None
    assert len(await events_of(runtime, run_id)) == 1


async def test_a_process_that_ends_leaves_a_snapshot_at_once(runtime: Runtime, books: Books) -> None:
    run_id = await asked(runtime, await report(runtime, filters=of(await seats(books, ["Ada"]))))
    stopping = asyncio.Event()
    async with runtime.database.transaction() as connection:
        await connection.execute("LOCK TABLE applications IN ACCESS EXCLUSIVE MODE")
        running_now = asyncio.create_task(run_report(runtime, run_id, stopping))
        async with asyncio.timeout(5):
            await until_running(runtime, run_id)
            await asyncio.sleep(0.1)
            stopping.set()
            assert await running_now == Again(0)
    assert await run_report(runtime, run_id, asyncio.Event()) is None
    assert (await read(runtime, run_id)).status == "succeeded"


async def test_abandoned_runs_get_a_job_and_others_none(runtime: Runtime) -> None:
    pool = runtime.database.pool
    abandoned, fresh = [await asked(runtime, await report(runtime)) for _ in range(2)]
    done = await answered(runtime)
    await pool.execute("DELETE FROM pgqueuer")
    await pool.execute("UPDATE report_runs SET updated_at = now() - interval '1 h' WHERE id <> $1", fresh)
    await adopt_runs(runtime)
    await adopt_runs(runtime)
    payloads = [
        str(row["payload"])
        for row in await pool.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = $1", REPORT_JOB)
    ]
    assert [str(abandoned) in payload for payload in payloads].count(True) == 1
    assert not any(str(fresh) in payload or str(done.id) in payload for payload in payloads)


async def test_a_report_deleted_meanwhile_ends_its_run(
    runtime: Runtime, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = await report(runtime, filters=of(await seats(books, ["Ada"])))
    run_id = await asked(runtime, saved)

    async def slow(connection: Connection, *given: Any) -> Any:
        found = await take(connection, *given)
        await runtime.database.pool.execute("DELETE FROM reports WHERE id = $1", saved.id)
        return found

    monkeypatch.setattr(running, "take", slow)
    assert await run_report(runtime, run_id, asyncio.Event()) is None
    assert await chunks_of(runtime, run_id) == 0
    assert await events_of(runtime, run_id) == []


async def test_old_runs_are_forgotten_with_all_they_held(runtime: Runtime, books: Books) -> None:
    saved = await report(runtime, filters=of(await seats(books, ["Ada"])))
    old, young = await answered(runtime, saved), await answered(runtime, saved)
    deleted = await answered(runtime, filters=of(await seats(books, ["Eve"])))
    days = runtime.settings.retention_days
    pool = runtime.database.pool
    await pool.execute(
        "UPDATE report_runs SET created_at = now() - make_interval(days => $2, hours => 1) WHERE id = $1", old.id, days
    )
    await pool.execute("DELETE FROM reports WHERE id = $1", deleted.report_id)
    assert await chunks_of(runtime, deleted.id) == 1
    await forget_runs(runtime)
    assert [await chunks_of(runtime, run.id) for run in (old, young, deleted)] == [0, 1, 0]
    assert await pool.fetchval("SELECT count(*) FROM report_runs WHERE id = ANY($1)", [old.id, young.id]) == 1
    assert await rows(runtime, young) == [{"name": "Ada"}]


async def test_rows_that_vanish_while_they_are_sent_break_the_file_off(runtime: Runtime, books: Books) -> None:
    run = await answered(runtime, filters=of(await many_seats(books, 1500)))
    file = await file_of(runtime.database.pool, run, "csv")
    await anext(file.content)
    await runtime.database.pool.execute("DELETE FROM report_chunks WHERE run_id = $1 AND number > 0", run.id)
    with pytest.raises(RowsGone):
        async for _ in file.content:
            pass


@pytest.mark.parametrize("format_", ["csv", "json", "xlsx"])
async def test_a_large_file_needs_little_memory_and_no_connection(runtime: Runtime, books: Books, format_: Any) -> None:
    run_id = await large(runtime, books)
    run = await read(runtime, run_id)
    tracemalloc.start()
    try:
        length = 0
        file = await file_of(runtime.database.pool, run, format_)
        async for part in file.content:
            length += len(part)
            assert runtime.database.pool.get_idle_size() == runtime.database.pool.get_size()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length > 500_000
    assert peak < 12_000_000


_LARGE: dict[int, UUID] = {}


async def large(runtime: Runtime, books: Books) -> UUID:
    """A run of 100,000 rows, made once: a thousand rows of it a hundred times over."""
    if id(runtime) not in _LARGE:
        run = await answered(runtime, columns=["name", "email"], filters=of(await many_seats(books, 1000)))
        await runtime.database.pool.execute(
            "INSERT INTO report_chunks SELECT run_id, n, n * 1000, rows, ndjson, csv, subjects"
            " FROM report_chunks, generate_series(1, 99) AS n WHERE run_id = $1", run.id,
        )  # fmt: skip
        await runtime.database.pool.execute("UPDATE report_runs SET total_rows = 100000 WHERE id = $1", run.id)
        _LARGE[id(runtime)] = run.id
    return _LARGE[id(runtime)]


async def test_a_file_is_named_after_its_report(runtime: Runtime) -> None:
    run = await answered(runtime, name=f'Müller/"Seats": {new_id()}'[:22])
    file = await file_of(runtime.database.pool, run, "csv")
    assert run.as_of is not None
    assert file.name == f"Müller__Seats__ {run.definition['name'][16:]} {run.as_of:%Y-%m-%d}.csv".replace("  ", " ")
    assert file.disposition.startswith('attachment; filename="M_ller__Seats__')
    assert "filename*=UTF-8''M%C3%BCller" in file.disposition
    assert (await downloaded(runtime, run, "csv")).startswith(b"name\r\n")
