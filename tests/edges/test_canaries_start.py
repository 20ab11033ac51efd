"""A service that cannot start says which variable to mend, and nothing of what stands in it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from app.vault import generate_key
from tests.edges.canaries import Canaries
from tests.survival.processes import ROOT

SECRET = "k4T9wZ1nKcQ7mB2xR8vL5pY3"
# The password as it is pasted, with characters that a URL takes for its own.
PASTED = f"{SECRET}/+#?@%"
KEYS = {"SEATWISE_ENCRYPTION_KEYS": generate_key()}


DATABASE = "SEATWISE_DATABASE_URL"


@pytest.mark.parametrize(
    ("command", "settings", "named"),
    [
        ("serve", {DATABASE: f"postgresql://me:{PASTED}@127.0.0.1:1/books"} | KEYS, DATABASE),
        ("serve", {DATABASE: f"postgresql://me@127.0.0.1:{SECRET}/books"} | KEYS, DATABASE),
        ("serve", {DATABASE: f"postgresql://me@127.0.0.1:1/books?sslmode={SECRET}"} | KEYS, DATABASE),
        ("serve", {"SEATWISE_ENCRYPTION_KEYS": f"{SECRET},{PASTED}"}, "SEATWISE_ENCRYPTION_KEYS"),
        ("serve", {"SEATWISE_LOG_LEVEL": SECRET} | KEYS, "SEATWISE_LOG_LEVEL"),
        ("doctor", {DATABASE: f"mysql://me:{PASTED}@127.0.0.1/books"} | KEYS, DATABASE),
        ("doctor", {"SEATWISE_SMTP_URL": f"smtp://me:{PASTED}@127.0.0.1:25"} | KEYS, "SEATWISE_SMTP_URL"),
    ],
)
async def test_a_setting_is_named_and_not_repeated(
    tmp_path: Path, command: str, settings: dict[str, str], named: str
) -> None:
    canaries = Canaries()
    canaries.know("it", SECRET)
    plain = {"SEATWISE_DATABASE_URL": "postgresql://me@127.0.0.1:1/books", "SEATWISE_DATA_DIR": str(tmp_path)}
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEATWISE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", command),
        env={**own, **plain, **settings},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 1
    assert named in said.decode()
    assert b"Traceback" not in said
    assert canaries.named_in(said) == set()
