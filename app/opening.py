"""Opening a process's runtime from its settings: the database, its schema, and the keys of the vault."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.access.audit_store import make_months
from app.core import embedded
from app.core.database import Database, open_database
from app.core.errors import SeatwiseError, Unavailable
from app.core.private_files import kept_text
from app.core.schema import migrate
from app.core.settings import Settings
from app.models import SigningKey
from app.sync.runtime import Runtime
from app.vault import Vault, VaultError, generate_key

KEY_FILE = "encryption.keys"
_PROOF = "proof"
_PROOF_CONTEXT = f"signing_keys/{_PROOF}"
_PROOF_TEXT = b"these are the keys of this database"


class WrongKeysError(SeatwiseError):
    """The vault's keys are missing, unreadable, or those of another database."""


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Runtime]:
    """A runtime for the time of the block, on a database migrated to this version's schema.

    Raises Unavailable without a database, WrongKeysError without the right keys; both say what to do.
    """
    vault = keyring(settings)
    async with open_database_of(settings) as database:
        await migrate(database)
        await make_months(database)
        await prove_keys(database, vault)
        yield Runtime(settings, database, vault)


@asynccontextmanager
async def open_database_of(settings: Settings) -> AsyncIterator[Database]:
    """The external database where one is named, else the embedded one, started or joined."""
    server = None
    if settings.database_url is None:
        server = await asyncio.to_thread(_embedded, settings.data_dir)
    url = server.url if server is not None else settings.database_url.get_secret_value()  # type: ignore[union-attr]
    try:
        database = await open_database(url, size=settings.database_pool_size)
        try:
            yield database
        finally:
            await database.close()
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)


def _embedded(data_dir: Path) -> embedded.EmbeddedServer:
    try:
        return embedded.start(data_dir)
    except (OSError, subprocess.SubprocessError) as error:
        words = getattr(error, "strerror", None) or "its last words stand above"
        raise Unavailable(
            f"The embedded database does not start under {data_dir} ({words}). SEATWISE_DATA_DIR names a folder that "
            "can be written to and has 100 MB of room, SEATWISE_DATABASE_URL a database of your own."
        ) from error


def keyring(settings: Settings) -> Vault:
    """The vault with the keys of the settings. Raises WrongKeysError where they are missing or none."""
    text = _encryption_keys(settings)
    try:
        return Vault.from_keys(text)
    except ValueError as error:
        raise WrongKeysError(str(error)) from None


def _encryption_keys(settings: Settings) -> str:
    """The key ring as configured, or the one generated beside the embedded database. Raises WrongKeysError."""
    if settings.encryption_keys is not None:
        return settings.encryption_keys.get_secret_value()
    if settings.database_url is not None:
        raise WrongKeysError(
            "SEATWISE_ENCRYPTION_KEYS is needed with an external database. Make one key with `openssl rand 32 | "
            "basenc --base64url` and keep it: what it seals cannot be opened without it."
        )
    try:
        return _generated_keys(settings.data_dir)
    except OSError as error:
        raise WrongKeysError(
            f"The key file under {settings.data_dir} cannot be had ({error.strerror}). SEATWISE_DATA_DIR names a "
            "folder that can be written to; or set SEATWISE_ENCRYPTION_KEYS."
        ) from error


def _generated_keys(data_dir: Path) -> str:
    data_dir.mkdir(parents=True, exist_ok=True)
    return kept_text(data_dir / KEY_FILE, generate_key)


async def prove_keys(database: Database, vault: Vault) -> None:
    """Leave a sealed proof in a new database, open the one of a known database. Raises WrongKeysError."""
    async with database.session() as session:
        await session.execute(
            insert(SigningKey)
            .values(purpose=_PROOF, version=1, sealed=vault.seal(_PROOF_TEXT, context=_PROOF_CONTEXT))
            .on_conflict_do_nothing()
        )
    await open_proof(database, vault)


async def open_proof(database: Database, vault: Vault) -> bool:
    """Whether the keys are those of the database; False for one that has no proof yet. Raises WrongKeysError."""
    async with database.session() as session:
        sealed = await session.scalar(select(SigningKey.sealed).where(SigningKey.purpose == _PROOF))
    if sealed is None:
        return False
    try:
        vault.open(sealed, context=_PROOF_CONTEXT)
    except VaultError as error:
        raise WrongKeysError(
            "SEATWISE_ENCRYPTION_KEYS does not hold the key that sealed the secrets in this database. Set the key it "
            "was started with (or restore the key file beside the embedded database)."
        ) from error
    return True
