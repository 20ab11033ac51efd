"""Alembic's entry: on a connection handed in by the service, or on SEATWISE_DATABASE_URL for developers."""

from __future__ import annotations

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from app.core.database import open_database
from app.core.schema import belongs_to_models
from app.models import Base


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, include_object=belongs_to_models)
    with context.begin_transaction():
        context.run_migrations()


async def run_by_hand() -> None:
    database = await open_database(os.environ["SEATWISE_DATABASE_URL"], size=2)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await database.close()


handed_in: Connection | None = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    asyncio.run(run_by_hand())
