"""What the doctor sees, and that each complaint names what mends it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic import SecretStr

from app.core.clock import now
from app.core.ids import new_id
from app.core.settings import Settings
from app.doctor import main
from app.opening import prove_keys
from app.sync.runtime import Runtime
from app.vault import Vault, generate_key
from tests.api.instances import PINGONE_OPTIONS
from tests.folders import open_to_others
from tests.law.test_upgrading import schema_of
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


async def test_a_database_that_refuses_is_told_in_its_own_words_and_without_the_password(
    settings: Settings, keys: SecretStr
) -> None:
    parts = urlsplit((settings.database_url or SecretStr("")).get_secret_value())
    wrong = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":canary-password@")))
    missing = urlunsplit(parts._replace(path="/no-such-database"))
    for url, told in ((wrong, "password authentication failed"), (missing, '"no-such-database" does not exist')):
        _, lines = await seen(settings, encryption_keys=keys, database_url=SecretStr(url))
        assert told in lines["database"]
        assert "SEATWISE_DATABASE_URL" in lines["database"]
        assert "canary-password" not in "".join(lines.values())


async def test_an_embedded_database_without_a_place_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken/postgres").mkdir(parents=True)
    (tmp_path / "taken/postgres/left-here").touch()
    open_to_others(tmp_path / "taken")
    for folder, checks in (("file/data", ["encryption keys", "database"]), ("taken", ["database"])):
        holds, lines = await seen(Settings(_env_file=None, data_dir=tmp_path / folder))
        assert not holds
        assert [check for check, line in lines.items() if line.startswith("FAIL")] == checks
        assert all(f"{tmp_path / folder}" in lines[check] and "SEATWISE_DATA_DIR" in lines[check] for check in checks)


@pytest.mark.parametrize(
    ("revision", "told"), [("from-tomorrow", "A newer version"), ("0001", "Run `seatwise migrate`")]
)
async def test_a_schema_of_another_version_says_which_way(
    settings: Settings, runtime: Runtime, keys: SecretStr, revision: str, told: str
) -> None:
    async with schema_of(runtime.database, revision):
        holds, lines = await seen(settings, encryption_keys=keys)
    assert (holds, told in lines["schema"]) == (False, True)


async def test_a_user_who_may_not_make_tables_is_a_complaint(
    settings: Settings, runtime: Runtime, keys: SecretStr, server_url: str
) -> None:
    name = f"bare_{new_id().hex}"
    parts = urlsplit(server_url)
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=f"{name}:a-password@{host}", path=f"/{name}"))
    await runtime.database.pool.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'a-password'")
    await runtime.database.pool.execute(f"CREATE DATABASE {name}")
    holds, lines = await seen(settings, encryption_keys=keys, database_url=SecretStr(url))
    await runtime.database.pool.execute(f"ALTER DATABASE {name} OWNER TO {name}")
    held, owned = await seen(settings, encryption_keys=keys, database_url=SecretStr(url))
    await runtime.database.pool.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await runtime.database.pool.execute(f"DROP ROLE {name}")
    assert (holds, "SEATWISE_DATABASE_URL" in lines["schema"]) == (False, True)
    assert (held, "the first start makes the tables" in owned["schema"]) == (True, True)


async def test_a_clock_that_is_wrong_is_a_complaint(
    settings: Settings, keys: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.doctor.now", lambda: now() + timedelta(seconds=61))
    holds, lines = await seen(settings, encryption_keys=keys)
    assert (holds, "differ by 6" in lines["clock"], "NTP" in lines["clock"]) == (False, True, True)


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
