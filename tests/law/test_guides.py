"""What the guides say is what the service does: connectors, routes, settings, links, and the tests they name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import typer

from app.api.health import Metrics
from app.cli import app as commands
from app.connectors.registry import MANIFESTS
from app.core.settings import Settings
from tests.law.connector_pages import LINE, whole

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", *ROOT.glob("SECURITY.md")])
UPDATE = os.environ.get("SEATWISE_UPDATE_SNAPSHOTS") == "1"


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("key", MANIFESTS)
def test_a_connectors_page_says_what_its_manifest_says(key: str) -> None:
    page = DOCS / "connectors" / f"{key}.md"
    present = page.read_text() if page.exists() else ""
    if UPDATE:
        page.write_text(whole(MANIFESTS[key], present))
    assert page.read_text() == whole(MANIFESTS[key], present), "SEATWISE_UPDATE_SNAPSHOTS=1 writes it anew"
    assert len(page.read_text().partition(LINE)[2]) > 200, "how seats and use are understood is to be written by hand"


def test_no_connectors_page_is_left_over() -> None:
    assert {page.stem for page in (DOCS / "connectors").glob("*.md")} == set(MANIFESTS)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{_name(page)}: {target}"
        assert not anchor or anchor in _anchors(found), f"{_name(page)}: {target}"


def test_every_page_can_be_found_from_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", index)}
    told = [page for page in DOCS.rglob("*") if page.suffix in {".md", ".yml", ".yaml", ".json", ".service"}]
    lost = [
        str(page.relative_to(DOCS))
        for page in told
        if page not in linked and page.parent.name != "decisions" and page.name != "README.md"
    ]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_setting_that_is_named_is_one(page: Path) -> None:
    """But for those that only the tests read."""
    known = {f"SEATWISE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bSEATWISE_(?!TEST_|UPDATE_)[A-Z_]+", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_route_that_is_named_is_one(page: Path) -> None:
    known = [
        re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "/?$")
        for path in json.loads((DOCS / "openapi.json").read_text())["paths"]
    ]
    named = re.findall(r"(?<!\w)/v1/[A-Za-z-]+(?:/(?:\{\w+\}|<\w+>|[A-Za-z_$-]+))*", _prose(page))
    assert [path for path in set(named) if not any(one.match(path) for one in known)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_that_is_named_is_one(page: Path) -> None:
    """Each `seatwise …` of a page, its options included."""
    for words in re.findall(r"(?:^|`|bin/|run --rm seatwise )seatwise ([a-z][^`\n]*)", page.read_text(), re.MULTILINE):
        command, rest = typer.main.get_command(commands), words.partition("#")[0].strip("…").split()
        while rest and isinstance(command, typer.core.TyperGroup):
            assert rest[0] in command.commands, f"{_name(page)}: seatwise {words}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= known, f"{_name(page)}: seatwise {words}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_figure_that_is_named_is_one(page: Path) -> None:
    told = set(re.findall(r"`(seatwise_[a-z_]+)", page.read_text()))
    known = {family.name for family in Metrics().registry.collect()}
    assert told <= known


def test_the_tests_that_prove_a_promise_exist() -> None:
    page = (DOCS / "security-model.md").read_text()
    proofs = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(proofs) > 30
    lost = [
        f"{file}::{name}"
        for file, name in proofs
        if not (ROOT / file).exists() or (name and f"def {name}(" not in (ROOT / file).read_text())
    ]
    assert lost == []


def _prose(page: Path) -> str:
    """The page without the paths of vendors' own APIs, which look like ours."""
    return re.sub(r"https?://[^\s)`\"']+", lambda url: url[0].partition("/v1/")[0], page.read_text())


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
