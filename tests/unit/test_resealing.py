"""Everything sealed is sealed anew with the newest key, while others read and write it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.access import resealing
from app.access.keys import create_key
from app.access.resealing import SEALED, SealedColumn, reseal_all
from app.access.tokens import Tokens
from app.core.clock import now
from app.core.database import Database
from app.main import create_app
from app.models import Base, VendorToken
from app.opening import prove_keys
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key

OLD, NEW = generate_key(), generate_key()
CREDENTIAL = {"name": "Reader", "connector": "okta", "scheme": "api_token", "secrets": {"api_token": "00abc"}}


def test_every_sealed_column_is_known() -> None:
    columns = {
        (t.name, c.name) for t in Base.metadata.tables.values() for c in t.columns if c.name.startswith("sealed")
    }
    assert columns == {(sealed.table, sealed.column) for sealed in SEALED}


@pytest_asyncio.fixture
async def old(runtime: Runtime) -> Runtime:
    """The runtime of a replica that knows the old key first; everything in the database is sealed with it."""
    old = replace(runtime, vault=Vault.from_keys(f"{OLD},{NEW}"))
    await runtime.database.pool.execute(
        "DELETE FROM signing_keys; DELETE FROM credentials; DELETE FROM idempotency_records"
    )
    await prove_keys(runtime.database, old.vault)
    return old


async def call(runtime: Runtime, key: str, idempotency_key: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(runtime)), base_url="http://t") as client:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": idempotency_key}
        return await client.post("/v1/credentials", json=CREDENTIAL, headers=headers)


async def sealed_with(database: Database) -> set[str]:
    found: set[str] = set()
    for column in SEALED:
        rows = await database.pool.fetch(f"SELECT {column.column} AS sealed FROM {column.table}")
        found |= {row["sealed"].split(".")[1] for row in rows}
    return found


async def test_what_is_saved_meanwhile_is_not_overwritten(old: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    database, new = old.database, Vault.from_keys(f"{NEW},{OLD}")
    async with database.session() as session:
        key = create_key(session, name="k", role="admin").secret
    made = (await call(old, key, "meanwhile")).json()["id"]
    saved, write = new.seal(b"saved meanwhile", context=f"credentials/{made}"), resealing._write

    async def write_late(database: Database, column: SealedColumn, *more: Any) -> None:
        if column.table == "credentials":
            await database.pool.execute("UPDATE credentials SET sealed = $1", saved)
        await write(database, column, *more)

    monkeypatch.setattr(resealing, "_write", write_late)
    await reseal_all(database, new)
    assert await database.pool.fetchval("SELECT sealed FROM credentials WHERE id = $1", made) == saved


async def test_after_a_rotation_the_old_key_can_go(old: Runtime) -> None:
    database = old.database
    async with database.session() as session:
        key = create_key(session, name="k", role="admin").secret
    made = await call(old, key, "first")
    assert made.status_code == 201, made.text
    credential_id = made.json()["id"]
    token_of = f"vendor_tokens/{credential_id}/aud"
    async with database.session() as session:
        sealed = old.vault.seal(b"token", context=token_of)
        session.add(VendorToken(credential_id=credential_id, audience="aud", sealed=sealed, issued_at=now()))
    minted = await Tokens(database, old.vault).mint(credential_id)

    counts = await reseal_all(database, Vault.from_keys(f"{NEW},{OLD}"))
    assert {each.table: each.resealed for each in counts if each.resealed} == {
        "credentials": 1, "vendor_tokens": 1, "signing_keys": 2, "idempotency_records": 1,
    }  # fmt: skip
    assert len(await sealed_with(database)) == 1

    new = replace(old, vault=Vault.from_keys(NEW))
    await prove_keys(database, new.vault)
    again = await call(new, key, "first")
    assert (again.headers["idempotent-replayed"], again.json()) == ("true", made.json())
    assert str(await Tokens(database, new.vault).read(minted)) == credential_id
    text = await database.pool.fetchval("SELECT sealed FROM vendor_tokens")
    assert new.vault.open(text, context=token_of) == b"token"
    counts = await reseal_all(database, new.vault)
    assert sum(each.resealed + each.unreadable for each in counts) == 0
    assert sum(each.current for each in counts) == 5


async def test_it_may_run_while_the_service_writes(old: Runtime) -> None:
    async with old.database.session() as session:
        key = create_key(session, name="k", role="admin").secret
    ring = Vault.from_keys(f"{NEW},{OLD}")

    async def writing() -> None:
        for turn in range(15):
            assert (await call(old, key, f"w{turn}")).status_code == 201

    async def rotating() -> None:
        for _ in range(6):
            await reseal_all(old.database, ring)

    await asyncio.gather(writing(), rotating(), rotating())
    await reseal_all(old.database, ring)
    assert len(await sealed_with(old.database)) == 1
    for row in await old.database.pool.fetch("SELECT id, sealed FROM credentials"):
        assert b"00abc" in ring.open(row["sealed"], context=f"credentials/{row['id']}/secrets")


async def test_what_cannot_be_opened_is_counted_and_left(old: Runtime) -> None:
    counts = await reseal_all(old.database, Vault.from_keys(generate_key()))
    told: dict[str, Any] = {each.table: each.unreadable for each in counts}
    assert told["signing_keys"] == 1
    await prove_keys(old.database, old.vault)
