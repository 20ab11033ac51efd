"""The service is as its description says, whatever is sent: a seeded, bounded part of `make fuzz`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.vault import generate_key
from tests.edges.fuzzing import schemathesis
from tests.edges.served import serving

KEY = "sw_the-first-key-of-the-tests"
SEED = "20261122"


async def _tick(database_url: str) -> None:
    """As if a scheduler ran beside the API, so that it is ready."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO ticks (process, at) VALUES (gen_random_uuid(), now() + interval '1 hour')")
    await connection.close()


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    keyed = settings.model_copy(update={"encryption_keys": SecretStr(generate_key()), "outbound_allow": ()})
    assert keyed.database_url is not None
    with pytest.MonkeyPatch.context() as patch, serving(keyed, patch) as address:
        asyncio.run(_tick(keyed.database_url.get_secret_value()))
        yield address


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "options",
    [
        ("--phases", "coverage", "--include-method", "POST"),
        ("--phases", "fuzzing", "--max-examples", "1"),
        ("--phases", "stateful", "--max-examples", "15"),
    ],
    ids=["boundaries of what is posted", "every operation", "one after another"],
)
def test_nothing_is_answered_but_what_is_described(url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
    found = schemathesis(url, KEY, tmp_path, "--seed", SEED, *options)
    assert found.returncode == 0, found.stdout
