"""What cannot be opened says which setting to mend, in one line and without the setting's value."""

from __future__ import annotations

import asyncio
import sys

import pytest
from pydantic import SecretStr

from app import cli
from app.access.keys import ensure_first_key
from app.core.database import Database
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.opening import WrongKeysError, opened


async def test_processes_that_start_together_make_one_first_key(database: Database, settings: Settings) -> None:
    keyless = settings.model_copy(update={"admin_key": None})
    shown = await asyncio.gather(*(ensure_first_key(database, keyless) for _ in range(4)))
    assert len([key for key in shown if key is not None]) == 1
    assert await database.pool.fetchval("SELECT count(*) FROM api_keys") == 1


@pytest.mark.parametrize("keys", [None, "", "hunter2", "AAAA,hunter2"])
async def test_keys_that_are_none_are_named(settings: Settings, keys: str | None) -> None:
    changed = settings.model_copy(update={"encryption_keys": None if keys is None else SecretStr(keys)})
    with pytest.raises(WrongKeysError, match="SEATWISE_ENCRYPTION_KEYS") as found:
        async with opened(changed):
            pass
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2#x@127.0.0.1/db",
        "postgresql://u:p@h/db?sslmode=hunter2",
        "mysql://u:hunter2@127.0.0.1/db",
    ],
)
async def test_an_address_that_is_none_is_named(settings: Settings, url: str) -> None:
    keyed = settings.model_copy(update={"database_url": SecretStr(url), "encryption_keys": SecretStr("A" * 43)})
    with pytest.raises(Unavailable, match="SEATWISE_DATABASE_URL") as found:
        async with opened(keyed):
            pass
    assert "hunter2" not in str(found.value)


def test_the_command_says_it_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SEATWISE_DATABASE_URL", "postgresql://u:hunter2#x@127.0.0.1/db")
    monkeypatch.setenv("SEATWISE_ENCRYPTION_KEYS", "A" * 43)
    monkeypatch.setattr(sys, "argv", ["seatwise", "migrate"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr().err
    assert ended.value.code == 1
    assert len(shown.splitlines()) == 1
    assert "SEATWISE_DATABASE_URL" in shown
    assert "hunter2" not in shown
