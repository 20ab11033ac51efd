"""The worker: what is kept of a job that breaks."""

from __future__ import annotations

import pytest
import structlog

from app.core.queue import enqueue
from app.scheduler import worker
from app.sync.runtime import Runtime
from tests.webhooks.receiver import eventually

SECRET = "k4T9wZ1nKcQ7mB2xR8vL5pY3"


async def test_the_queue_keeps_no_words_of_a_job_that_broke(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        try:
            raise ValueError(f"the first {SECRET}")
        except ValueError as cause:
            raise RuntimeError(f"the second {SECRET}") from cause

    monkeypatch.setattr(worker, "JOBS", {"broken": broken})
    async with runtime.database.session() as session:
        await enqueue(session, "broken", {"id": 1})
    pool = runtime.database.pool
    with structlog.testing.capture_logs() as lines:
        async with worker.working(runtime):
            await eventually(lambda: pool.fetchval("SELECT 1 FROM pgqueuer_log WHERE status = 'exception'"))
    (kept,) = await pool.fetch("SELECT l::text FROM pgqueuer_log l WHERE status = 'exception'")
    assert SECRET not in kept["l"]
    assert "RuntimeError" in kept["l"]
    assert [line["log_level"] for line in lines if line["event"] == "job.broken"] == ["error"]
