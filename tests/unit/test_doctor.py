"""What the doctor sees, and that each complaint names what mends it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.doctor import main
from app.opening import prove_keys
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from tests.api.instances import PINGONE_OPTIONS
from tests.messages.smtp import mail_sink


async def seen(settings: Settings, **changed: Any) -> tuple[bool, dict[str, str]]:
    lines: list[str] = []
    holds = await main(settings.model_copy(update=changed), lines.append)
    return holds, {line[6:].partition(":")[0]: line for line in lines}


@pytest.fixture(scope="module")
async def keys(runtime: Runtime) -> SecretStr:
    """The ring whose proof stands in the database."""
    ring = generate_key()
    await prove_keys(runtime.database, Vault.from_keys(ring))
    return SecretStr(ring)


async def test_all_is_well(settings: Settings, keys: SecretStr) -> None:
    async with mail_sink() as sink:
        holds, lines = await seen(settings, encryption_keys=keys, smtp_url=SecretStr(sink.url))
    assert holds, lines
    assert len(lines) == 9
    assert "login" in lines["mail"]
    assert sink.received == []


@pytest.mark.parametrize(
    ("check", "variable", "changed"),
    [
        ("database", "SEATWISE_DATABASE_URL", {"database_url": SecretStr("postgresql://127.0.0.1:9/none")}),
        ("database", "SEATWISE_DATABASE_URL", {"database_url": SecretStr("postgresql://u:hunter2#x@127.0.0.1/db")}),
        ("database", "SEATWISE_DATABASE_URL", {"database_url": SecretStr("postgresql://u:p@h/db?sslmode=hunter2")}),
        ("database", "SEATWISE_DATABASE_URL", {"database_url": SecretStr("mysql://u:hunter2@127.0.0.1/db")}),
        ("key ring", "SEATWISE_ENCRYPTION_KEYS", {"encryption_keys": SecretStr(generate_key())}),
        ("encryption keys", "SEATWISE_ENCRYPTION_KEYS", {"encryption_keys": SecretStr("too-short")}),
        ("encryption keys", "SEATWISE_ENCRYPTION_KEYS", {"encryption_keys": None}),
        ("mail", "SEATWISE_SMTP_URL", {"smtp_url": SecretStr("smtp://127.0.0.1:9")}),
        ("identity provider", "SEATWISE_OIDC_ISSUER", {"oidc_issuer": "http://127.0.0.1:9", "oidc_audience": "a"}),
    ],
)
async def test_a_complaint_names_what_mends_it(
    settings: Settings, keys: SecretStr, check: str, variable: str, changed: dict[str, Any]
) -> None:
    holds, lines = await seen(settings, **{"encryption_keys": keys, **changed})
    assert not holds
    assert lines[check].startswith("FAIL")
    assert variable in lines[check]
    assert "hunter2" not in "".join(lines.values())


async def test_a_mail_server_that_refuses_the_login_is_a_complaint(settings: Settings, keys: SecretStr) -> None:
    async with mail_sink() as sink:
        sink.answers["EHLO"] = ["250-sink\r\n250 AUTH PLAIN"]
        sink.answers["AUTH"] = ["535 wrong password", "535 wrong password"]
        url = SecretStr(sink.url.replace("smtp://", "smtp://ada:canary-password@"))
        holds, lines = await seen(settings, encryption_keys=keys, smtp_url=url)
    assert (holds, "535" in lines["mail"]) == (False, True)
    assert "canary-password" not in "".join(lines.values())


async def test_a_vendor_that_cannot_be_reached_is_named(settings: Settings, runtime: Runtime, keys: SecretStr) -> None:
    options = PINGONE_OPTIONS | {"api_url": "http://127.0.0.1:9"}
    await runtime.database.pool.execute(
        "INSERT INTO instances (id, name, connector, options, sync, mapping, status, owner, contacts, created_by) "
        "VALUES (seatwise_uuid7(), 'p', 'pingone', $1, '{}', '[]', 'live', 'o', '{}', '{}')",
        options,
    )
    holds, lines = await seen(settings, encryption_keys=keys)
    await runtime.database.pool.execute("DELETE FROM instances")
    assert not holds
    assert "http://127.0.0.1:9" in lines["outbound"]
    assert "SEATWISE_OUTBOUND_ALLOW" in lines["outbound"]


async def test_the_doctor_leaves_no_proof_of_keys_that_may_be_wrong(settings: Settings, runtime: Runtime) -> None:
    await runtime.database.pool.execute("DELETE FROM signing_keys WHERE purpose = 'proof'")
    holds, lines = await seen(settings, encryption_keys=SecretStr(generate_key()))
    assert holds or not lines["key ring"].startswith("FAIL")
    assert await runtime.database.pool.fetchval("SELECT count(*) FROM signing_keys WHERE purpose = 'proof'") == 0
