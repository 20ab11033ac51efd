"""Schemathesis against a running service: every operation of its own description, every check there is.

`python -m tests.edges.fuzzing SECONDS` does it for long, with workers, on a database of its own; the reports are left
in the folder `fuzz-report`.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_socket import socket_allow_hosts

from app.core.logging import configure
from app.core.settings import Settings
from tests.edges.served import serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
REPORTS = Path("fuzz-report")


def schemathesis(url: str, key: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it over the service at `url`; status 0 where nothing was found. What it writes goes to `folder`."""
    words = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
    words += [f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--checks", "all", "--no-color"]
    words += ["--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "30"]
    words += ["--continue-on-failure", *options]
    return subprocess.run(words, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def main(arguments: Sequence[str]) -> int:
    """Fuzz for so many seconds; the exit status is schemathesis's."""
    socket_allow_hosts(["127.0.0.0/8", "::1/128"], allow_unix_socket=True)
    reports = REPORTS.resolve()
    reports.mkdir(exist_ok=True)
    key = f"sw_{secrets.token_urlsafe(24)}"
    with tempfile.TemporaryDirectory(prefix="sw-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o755)  # as root the database runs as another user, who has to reach the folder
        settings = Settings(
            _env_file=None,
            data_dir=folder / "data",
            admin_key=SecretStr(key),
            vendor_retry_s=0,
            log_level="warning",
        )
        configure(settings)
        with serving(settings, patch, workers=True) as url:
            options = ("--max-time", arguments[0], "--report", "html,junit", "--report-dir", str(reports))
            found = schemathesis(url, key, folder, *options)
    (reports / "told.txt").write_text(found.stdout)
    sys.stdout.write(found.stdout)
    return found.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
