"""Of two versions on one database the newer one upgrades it, and the older one serves on, but does not start again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.core.database import Database
from app.core.schema import NewerSchema, at_head, migrate
from tests.conftest import Api


@asynccontextmanager
async def schema_of(database: Database, revision: str) -> AsyncIterator[None]:
    """The database says that it has this revision, for the time of the block."""
    before = await database.pool.fetchval("SELECT version_num FROM alembic_version")
    await database.pool.execute("UPDATE alembic_version SET version_num = $1", revision)
    try:
        yield
    finally:
        await database.pool.execute("UPDATE alembic_version SET version_num = $1", before)


async def _readiness(api: Api) -> tuple[int, Any]:
    await api.runtime.database.pool.execute(
        "INSERT INTO ticks (process) VALUES ($1) ON CONFLICT (process) DO UPDATE SET at = now()", api.runtime.process_id
    )
    answer = await api.anonymous().get("/readyz")
    return answer.status_code, answer.json()


async def test_an_older_version_serves_on_once_a_newer_one_has_upgraded_the_database(api: Api) -> None:
    async with schema_of(api.runtime.database, "from-tomorrow"):
        assert await _readiness(api) == (200, {"status": "ready"})
        assert not await at_head(api.runtime.database)
    assert await at_head(api.runtime.database)


async def test_an_older_version_does_not_start_on_a_newer_schema(database: Database) -> None:
    async with schema_of(database, "from-tomorrow"):
        with pytest.raises(NewerSchema, match="newer version"):
            await migrate(database)


async def test_a_process_whose_schema_is_missing_is_not_ready(api: Api) -> None:
    async with schema_of(api.runtime.database, "0001"):
        status, answer = await _readiness(api)
    assert (status, answer["checks"][0]["name"]) == (503, "migrations")
