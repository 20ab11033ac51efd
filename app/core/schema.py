"""Bringing the database to the schema this version needs, once, however many processes start at a time."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.core import locks
from app.core.database import Database
from app.core.errors import SeatwiseError

_ROOT = Path(__file__).resolve().parents[2]

_LOCK_NOT_AVAILABLE = "55P03"
# Whoever needs a table waits behind the migration for as long as that one waits itself.
PATIENCE_S = 1
AGAIN_S = 2.0

log = structlog.get_logger()


class NewerSchema(SeatwiseError):
    """The database was upgraded by a version that this one knows nothing of."""


def belongs_to_models(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Whether Alembic should compare an object: the queue's tables are PgQueuer's own, the audit's months its parts."""
    return not (kind == "table" and name is not None and name.startswith(("pgqueuer", "audit_events_")))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    return config


@lru_cache(maxsize=1)
def _revisions() -> tuple[str, ...]:
    """Every revision that this version knows, newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    current = _current(connection)
    if current is not None and current not in _revisions():
        raise NewerSchema(
            "A newer version of Seatwise has upgraded this database. Start that version, or restore a dump of before."
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(database: Database) -> None:
    """Upgrade to head under an advisory lock: of replicas that start together one migrates, the others wait.

    Those who serve meanwhile wait for it, and it for those who read a table for long, as a dump does; so it steps back
    from a table that it cannot have soon, and tries again. Raises NewerSchema, for there is no way back.
    """
    while not await _migrated(database):
        log.warning("migration.steps_back", reason="somebody holds a table that it has to alter; pg_dump does")
        await asyncio.sleep(AGAIN_S)


async def _migrated(database: Database) -> bool:
    """False where a lock was not to be had; nothing is changed then."""
    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.SCHEMA})
        await connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_S}s'"))
        try:
            await connection.run_sync(_upgrade)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            return False
        await connection.commit()
        return True


async def at_head(database: Database) -> bool:
    """Whether the database has the schema of this version."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_current) == _revisions()[0]


async def is_servable(database: Database) -> bool:
    """Whether a running process of this version can work on the schema: its own, or that of a newer version which has
    upgraded it meanwhile, for migrations leave what the version before needs.
    """
    async with database.engine.connect() as connection:
        current = await connection.run_sync(_current)
    return current is not None and current not in _revisions()[1:]
