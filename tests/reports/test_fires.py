from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.core.clock import now
from app.core.schedule import latest_fire, next_fire
from app.models import Report, ReportRun
from app.reports.fires import answer_fires, start_due_reports
from app.sync.runtime import Runtime
from tests.host_clock import put_host_clock
from tests.reports.answering import answered, read, report

HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}


async def due(runtime: Runtime, since: timedelta, schedule: dict[str, str] | None = None) -> Report:
    """An hourly report whose turn came so long ago, on the hour."""
    turn = (now() - since).replace(minute=0, second=0, microsecond=0)
    return await report(runtime, schedule=schedule or HOURLY, next_run_at=turn)


async def runs_of(runtime: Runtime, report_id: UUID) -> list[ReportRun]:
    ids = await runtime.database.pool.fetch("SELECT id FROM report_runs WHERE report_id = $1 ORDER BY id", report_id)
    return [await read(runtime, row["id"]) for row in ids]


async def next_run_at(runtime: Runtime, report_id: UUID) -> datetime | None:
    at: datetime | None = await runtime.database.pool.fetchval(
        "SELECT next_run_at FROM reports WHERE id = $1", report_id
    )
    return at


async def test_a_fire_is_answered_by_one_run_of_all_processes(runtime: Runtime) -> None:
    saved = await due(runtime, timedelta())
    await asyncio.gather(*(start_due_reports(runtime) for _ in range(4)))
    (run,) = await runs_of(runtime, saved.id)
    assert (run.trigger, run.status, run.scheduled_for) == ("schedule", "queued", saved.next_run_at)
    following = await next_run_at(runtime, saved.id)
    assert following is not None
    assert following > now()


async def test_fires_missed_while_down_are_answered_once_and_late(runtime: Runtime) -> None:
    saved = await due(runtime, timedelta(hours=50))
    await start_due_reports(runtime)
    await start_due_reports(runtime)
    (run,) = await runs_of(runtime, saved.id)
    assert run.scheduled_for == now().replace(minute=0, second=0, microsecond=0)


async def test_a_fire_is_never_answered_twice(runtime: Runtime) -> None:
    saved = await due(runtime, timedelta())
    await start_due_reports(runtime)
    pool = runtime.database.pool
    await pool.execute("UPDATE report_runs SET status = 'succeeded' WHERE report_id = $1", saved.id)
    await pool.execute("UPDATE reports SET next_run_at = $2 WHERE id = $1", saved.id, saved.next_run_at)
    await start_due_reports(runtime)
    assert len(await runs_of(runtime, saved.id)) == 1


async def test_a_fire_passes_while_the_run_before_is_not_settled(runtime: Runtime) -> None:
    saved = await due(runtime, timedelta(hours=2))
    await start_due_reports(runtime)
    await runtime.database.pool.execute("UPDATE reports SET next_run_at = now() WHERE id = $1", saved.id)
    await start_due_reports(runtime)
    assert len(await runs_of(runtime, saved.id)) == 1
    following = await next_run_at(runtime, saved.id)
    assert following is not None
    assert following > now()


async def test_a_report_without_schedule_or_turn_is_left_alone(runtime: Runtime) -> None:
    later = await report(runtime, schedule=HOURLY, next_run_at=now() + timedelta(minutes=5))
    ended = await report(runtime, schedule=None, next_run_at=now() - timedelta(minutes=5))
    async with runtime.database.session() as session:
        assert await answer_fires(session, now(), 20) == 1
    assert await runs_of(runtime, later.id) == await runs_of(runtime, ended.id) == []
    assert await next_run_at(runtime, ended.id) is None


async def test_on_a_host_whose_clock_is_ahead_no_report_runs_early(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = now() + timedelta(minutes=2)
    saved = await report(runtime, schedule=HOURLY, next_run_at=turn)
    put_host_clock(monkeypatch, timedelta(minutes=3))
    await start_due_reports(runtime)
    assert await runs_of(runtime, saved.id) == []
    assert await next_run_at(runtime, saved.id) == turn


async def test_on_a_host_whose_clock_is_behind_a_report_runs_in_time(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, saved = now(), await due(runtime, timedelta())
    put_host_clock(monkeypatch, -timedelta(hours=3))
    await start_due_reports(runtime)
    (run,) = await runs_of(runtime, saved.id)
    assert run.scheduled_for == saved.next_run_at
    following = await next_run_at(runtime, saved.id)
    assert following is not None
    assert following > true


async def test_a_run_keeps_the_definition_it_was_asked_with(runtime: Runtime) -> None:
    saved = await report(runtime, columns=["name", "email"])
    run = await answered(runtime, saved)
    await runtime.database.pool.execute("UPDATE reports SET columns = '{name}' WHERE id = $1", saved.id)
    assert (await read(runtime, run.id)).definition["columns"] == ["name", "email"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "due_at", "moment", "latest"),
    [
        ("0 7 * * 1", "2026-01-05 07:00", "2026-01-05 07:00:01", "2026-01-05 07:00"),
        ("0 7 * * 1", "2026-01-05 07:00", "2026-01-30 00:00", "2026-01-26 07:00"),
        ("* * * * *", "2025-01-01 00:00", "2026-01-01 00:00:30", "2026-01-01 00:00"),
        ("0 0 1 1 *", "2023-01-01 00:00", "2026-11-01 00:00", "2026-01-01 00:00"),
        ("30 2 * * *", "2026-03-28 01:30", "2026-03-29 12:00", "2026-03-29 02:30"),
    ],
)
def test_the_latest_of_many_fires(cron: str, due_at: str, moment: str, latest: str) -> None:
    schedule = {"cron": cron, "timezone": "UTC"}
    assert latest_fire(schedule, uuid4(), at(due_at), at(moment)) == at(latest)


def test_a_skipped_hour_is_answered_where_the_clock_goes_on() -> None:
    schedule = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    due_at = next_fire(schedule, uuid4(), at("2026-03-28 12:00"))
    assert due_at == at("2026-03-29 01:00")
    assert latest_fire(schedule, uuid4(), due_at, at("2026-03-29 20:00")) == due_at
