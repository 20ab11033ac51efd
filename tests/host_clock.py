"""The clock of this host, as the service and its scheduler read it, put forward or back; the database's stays right."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import pytest


def put_host_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """From now on, and until it is put anew, the clock is off by so much."""

    class Off(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Off:
            return cls.fromtimestamp(datetime.now(tz).timestamp() + by.total_seconds(), tz)

    monkeypatch.setattr("app.core.clock.datetime", Off)
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Off)
