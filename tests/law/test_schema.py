"""The models say what the migrations build."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from app.core.schema import belongs_to_models, migrate
from app.models import Base
from app.sync.runtime import Runtime


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(
        connection,
        opts={"include_object": belongs_to_models, "compare_type": True, "compare_server_default": True},
    )
    found: list[Any] = compare_metadata(context, Base.metadata)
    # PostgreSQL spells an expression its own way, so an index on one looks removed and added; the next test names it.
    respelled = {each[1].name for each in found if each[0] == "remove_index"} & {
        each[1].name for each in found if each[0] == "add_index"
    }
    return [str(each) for each in found if not (each[0] in {"remove_index", "add_index"} and each[1].name in respelled)]


async def test_the_migrated_schema_is_the_models(runtime: Runtime) -> None:
    async with runtime.database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_expression_and_partial_indexes_are_there_too(runtime: Runtime) -> None:
    """Alembic passes over the former, so they are compared by name."""

    def names(connection: Connection) -> set[str]:
        inspector = inspect(connection)
        return {
            str(index["name"])
            for table in Base.metadata.tables
            for index in inspector.get_indexes(table)
            if index["name"] is not None
        }

    wanted = {str(index.name) for table in Base.metadata.tables.values() for index in table.indexes}
    async with runtime.database.engine.connect() as connection:
        assert wanted <= await connection.run_sync(names)


async def test_migrating_twice_changes_nothing(runtime: Runtime) -> None:
    await migrate(runtime.database)
