"""Telling the processes that deliver that there is something to deliver, once the caller's transaction commits."""

from __future__ import annotations

from app.core.transaction import Transaction, connection_of

CHANNEL = "seatwise_deliveries"


async def wake(transaction: Transaction) -> None:
    connection = await connection_of(transaction)
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
