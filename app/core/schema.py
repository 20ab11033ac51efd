"""Bringing the database to the schema this version needs, once, however many processes start at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.core.database import Database

_ROOT = Path(__file__).resolve().parents[2]
_LOCK = 7_316_524_901


def belongs_to_models(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Whether Alembic should compare an object: the queue's tables are PgQueuer's own."""
    return not (kind == "table" and name is not None and name.startswith("pgqueuer"))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(database: Database) -> None:
    """Upgrade to head under an advisory lock: of replicas that start together one migrates, the others wait."""
    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade)
        await connection.commit()


async def at_head(database: Database) -> bool:
    """Whether the database has the schema of this version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    async with database.engine.connect() as connection:
        current = await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    return current == head
