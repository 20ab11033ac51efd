"""Sealing everything anew with the newest key of the ring, while the service runs.

Each row is written only if it is still what was read, so nothing that is saved meanwhile is overwritten; rows are read
in the order of their keys, a batch at a time. Done twice it finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.database import Database, Record
from app.vault import Vault, VaultError

BATCH = 200


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed texts.

    key       the columns of the primary key.
    context   what each text is bound to, with the names of key columns in braces.
    """

    table: str
    column: str
    key: tuple[str, ...]
    context: str

    def context_of(self, row: Record) -> str:
        names = {name: str(row[name]) for name in self.key}
        if names.get("purpose") == "proof":
            return "signing_keys/proof"
        return self.context.format(**names)


SEALED = (
    SealedColumn("credentials", "sealed", ("id",), "credentials/{id}/secrets"),
    SealedColumn("vendor_tokens", "sealed", ("credential_id", "audience"), "vendor_tokens/{credential_id}/{audience}"),
    SealedColumn("webhooks", "sealed", ("id",), "webhooks/{id}/secrets"),
    SealedColumn("webhooks", "sealed_signing", ("id",), "webhooks/{id}/signing"),
    SealedColumn("webhook_tokens", "sealed", ("webhook_id", "audience"), "webhook_tokens/{webhook_id}/{audience}"),
    SealedColumn("signing_keys", "sealed", ("purpose", "version"), "signing_keys/{purpose}/{version}"),
    SealedColumn(
        "idempotency_records",
        "sealed_answer",
        ("caller", "path", "key"),
        "idempotency_records/{caller}/{path}/{key}",
    ),
    SealedColumn("erasures", "sealed", ("person_id",), "erasures/{person_id}"),
)


@dataclass(slots=True)
class Resealed:
    """How many texts of one table were sealed anew, had the newest key already, or cannot be opened."""

    table: str
    resealed: int = 0
    current: int = 0
    unreadable: int = 0


async def reseal_all(database: Database, vault: Vault) -> list[Resealed]:
    """Go through every sealed column. What cannot be opened is left as it is and counted."""
    return [await _reseal(database, vault, column) for column in SEALED]


async def _reseal(database: Database, vault: Vault, sealed: SealedColumn) -> Resealed:
    counts = Resealed(sealed.table)
    after: Record | None = None
    while rows := await _read(database, sealed, after):
        await _write(database, sealed, [pair for row in rows if (pair := _renewed(vault, sealed, row, counts))], counts)
        after = rows[-1]
    return counts


async def _read(database: Database, sealed: SealedColumn, after: Record | None) -> list[Record]:
    key = ", ".join(f'"{name}"' for name in sealed.key)
    values = [] if after is None else [after[name] for name in sealed.key]
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    where = f"WHERE ({key}) > ({places})" if values else ""
    return list(
        await database.pool.fetch(
            f'SELECT {key}, "{sealed.column}" AS sealed FROM {sealed.table} {where} ORDER BY {key} LIMIT {BATCH}',
            *values,
        )
    )


def _renewed(vault: Vault, sealed: SealedColumn, row: Record, counts: Resealed) -> tuple[Record, str] | None:
    """The row with its text sealed anew; None where there is nothing to do or it cannot be done."""
    context = sealed.context_of(row)
    try:
        if not vault.needs_reseal(row["sealed"]):
            counts.current += 1
            return None
        return row, vault.seal(vault.open(row["sealed"], context=context), context=context)
    except VaultError:
        counts.unreadable += 1
        return None


async def _write(
    database: Database, sealed: SealedColumn, renewed: Sequence[tuple[Record, str]], counts: Resealed
) -> None:
    matches = " AND ".join(f'"{name}" = ${place}' for place, name in enumerate(sealed.key, start=3))
    statement = f'UPDATE {sealed.table} SET "{sealed.column}" = $1 WHERE "{sealed.column}" = $2 AND {matches}'
    async with database.transaction() as connection:
        for row, text in renewed:
            tag = await connection.execute(statement, text, row["sealed"], *(row[name] for name in sealed.key))
            counts.resealed += tag == "UPDATE 1"
