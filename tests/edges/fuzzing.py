"""Schemathesis against a running service: every operation of its own description, every check there is.

`python -m tests.edges.fuzzing SECONDS` does it for long: half of the time everything on an empty database, half reading
from the demo's, where there is something to read. The reports are left in the folder `fuzz-report`.
"""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_socket import socket_allow_hosts

from app.core.logging import configure
from app.core.settings import Settings
from tests.edges.known import as_dictionaries, known_ids
from tests.edges.served import serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
REPORTS = Path("fuzz-report")


def schemathesis(url: str, key: str, folder: Path, *options: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """Run it over the service at `url`; status 0 where nothing was found. What it writes goes to `folder`.

    more   what the configuration has beside the usual.
    """
    configuration = folder / "schemathesis.toml"
    configuration.write_text(f"{CONFIGURATION.read_text()}\n{more}")
    words = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
    words += [f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--checks", "all", "--no-color"]
    words += ["--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "30"]
    words += ["--continue-on-failure", *options]
    return subprocess.run(words, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def main(arguments: Sequence[str]) -> int:
    """Fuzz for so many seconds; the exit status is schemathesis's."""
    socket_allow_hosts(["127.0.0.0/8", "::1/128"], allow_unix_socket=True)
    reports = REPORTS.resolve()
    reports.mkdir(exist_ok=True)
    told = ["--max-time", str(max(1, int(arguments[0]) // 2)), "--report", "html,junit", "--report-dir", str(reports)]
    with tempfile.TemporaryDirectory(prefix="sw-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root the database runs as another user, who has to reach the folder
        found = [_empty(folder, told), _lived_in(folder, told)]
    (reports / "told.txt").write_text("\n".join(each.stdout for each in found))
    for each in found:
        sys.stdout.write(each.stdout)
    return max(each.returncode for each in found)


def _empty(folder: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Everything, on a database of its own, with workers."""
    key = f"sw_{secrets.token_urlsafe(24)}"
    settings = Settings(
        _env_file=None,
        data_dir=folder / "data",
        admin_key=SecretStr(key),
        vendor_retry_s=0,
        log_level="warning",
    )
    configure(settings)
    with pytest.MonkeyPatch.context() as patch, serving(settings, patch, workers=True) as url:
        return schemathesis(url, key, folder, *options)


def _lived_in(folder: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What can be read of the demo's world, by the ids that there are."""
    with kept_demo() as (url, key):
        more = as_dictionaries(known_ids(url, key))
        return schemathesis(url, key, folder, *options, "--include-method", "GET", more=more)


@contextmanager
def kept_demo() -> Iterator[tuple[str, str]]:
    """URL and key of the demo's service, once its story is told."""
    command = [sys.executable, "-m", "app.cli", "demo", "--keep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        try:
            yield _announced(demo)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)


def _announced(demo: subprocess.Popen[str]) -> tuple[str, str]:
    url = ""
    for line in demo.stdout or ():
        if found := re.search(r"stays up at (http://\S+)", line):
            url = found[1]
        elif found := re.search(r"API key: (\S+)", line):
            return url, found[1]
    raise RuntimeError("the demo ended before its story")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
