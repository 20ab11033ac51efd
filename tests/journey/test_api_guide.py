"""The guide to the API does what it says: its lines, run in order against the service, print what stands below them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.vault import generate_key
from tests.survival.processes import free_port

GUIDE = Path(__file__).parents[2] / "docs" / "api-guide.md"
PATIENCE_S = 90
ELLIPSIS = "…"
_SEEN = "\n@@@ block {}\n"

_FENCE = re.compile(r"^```(sh|json|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARYING = {
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}": r"[0-9a-f-]{36}",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": r"\d{4}-\d\d-\d\dT[\d:.]+Z",
    r"\d{4}-\d\d-\d\d": r"\d{4}-\d\d-\d\d",
    r"[a-z]+\.[a-z]+@example\.(?:org|com|net)": r"[\w.+'-]+@example\.(?:org|com|net)",
    ELLIPSIS: r".*",
}
_EXACT = {"status", "status_code", "covered_days", "seats_bought", "total"}


@dataclass(frozen=True)
class Block:
    """Lines to run, and what the guide shows below them, if anything."""

    lines: str
    kind: str | None = None
    shown: str = ""


def _blocks() -> list[Block]:
    found: list[Block] = []
    for kind, content in _FENCE.findall(GUIDE.read_text()):
        if kind == "sh":
            found.append(Block(content))
        else:
            assert found[-1].kind is None, f"two answers to {found[-1].lines}"
            found[-1] = Block(found[-1].lines, kind, content)
    return found


BLOCKS = _blocks()


@pytest_asyncio.fixture(scope="module")
async def printed(database_url: str) -> AsyncIterator[list[str]]:
    """What each block has printed."""
    with tempfile.TemporaryDirectory(prefix="sw-guide-") as name:
        folder = Path(name)
        (folder / ".venv").symlink_to(sys.prefix)
        script = "set -euo pipefail\n" + "".join(
            f"{block.lines}printf {json.dumps(_SEEN.format(number))}\n" for number, block in enumerate(BLOCKS)
        )
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script),
            cwd=folder,
            env=_environment(database_url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, errors = await process.communicate()
        except TimeoutError:
            pytest.fail(f"The guide does not come to its end.\n{_logs(folder)}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        parts = re.split(r"\n@@@ block \d+\n", out.decode())
        stopped = f"{parts[-1]}\nin {BLOCKS[min(len(parts), len(BLOCKS)) - 1].lines}\n{errors.decode()}"
        assert process.returncode == 0, f"{stopped}\n{_logs(folder)}"
        yield parts[:-1]


def _logs(folder: Path) -> str:
    return "\n".join(log.read_text(errors="replace")[-2000:] for log in folder.glob("guide/*.log"))


def _environment(database_url: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEATWISE_")}
    return {
        **own,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}",
        "PORT": str(free_port()),
        "SEATWISE_DATABASE_URL": database_url,
        "SEATWISE_ENCRYPTION_KEYS": generate_key(),
    }


@pytest.mark.parametrize("number", [number for number, block in enumerate(BLOCKS) if block.kind])
def test_what_is_printed_is_what_the_guide_shows(printed: list[str], number: int) -> None:
    block, is_printed = BLOCKS[number], printed[number]
    if block.kind == "json":
        assert_shown(json.loads(block.shown), json.loads(is_printed), "")
    else:
        lines = is_printed.replace("\r\n", "\n").rstrip("\n")  # of a CSV file
        assert re.fullmatch(_pattern(block.shown.rstrip("\n")), lines), is_printed


def test_what_runs_in_the_background_is_quiet_and_ends(printed: list[str]) -> None:
    silent = [part for block, part in zip(BLOCKS, printed, strict=True) if block.kind is None]
    assert [part.strip() for part in silent] == [""] * len(silent)


@pytest.mark.parametrize(
    ("told", "given"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, ELLIPSIS: ELLIPSIS}, {"b": 2}),
        ({"status": 422}, {"status": 409}),
        (["x", "y"], ["x"]),
        ("Used on … days.", "Not used."),
        ({"ok": True}, {"ok": False}),
        ({"at": "2026-11-22T09:26:16Z"}, {"at": None}),
    ],
)
def test_a_difference_is_seen(told: Any, given: Any) -> None:
    with pytest.raises(AssertionError):
        assert_shown(told, given, "")


def assert_shown(told: Any, given: Any, at: str) -> None:
    """Members, order and words are those shown; ids, times and counts may be others, and `…` stands for anything."""
    match told:
        case dict():
            named = told.keys() - {ELLIPSIS}
            assert named == (given.keys() & named if ELLIPSIS in told else given.keys()), at
            for name in named:
                assert_shown(told[name], given[name], f"{at}/{name}")
        case list():
            shown = told[:-1] if told[-1:] == [ELLIPSIS] else told
            assert len(given) >= len(shown) if shown != told else len(given) == len(shown), at
            for index, item in enumerate(shown):
                assert_shown(item, given[index], f"{at}/{index}")
        case str():
            matches = told == ELLIPSIS or (isinstance(given, str) and re.fullmatch(_pattern(told), given))
            assert matches, f"{at}: {given!r} is not {told!r}"
        case bool() | None:
            assert given is told, at
        case _:
            exact = at.rpartition("/")[2] in _EXACT
            assert given == told if exact else isinstance(given, int | float), at


def _pattern(shown: str) -> str:
    """A regular expression for what is shown, open where one run differs from the next."""
    varying = re.compile("|".join(f"(?P<k{index}>{what})" for index, what in enumerate(_VARYING)))
    pattern, end = "", 0
    for found in varying.finditer(shown):
        kind = next(index for index in range(len(_VARYING)) if found[f"k{index}"] is not None)
        pattern += re.escape(shown[end : found.start()]) + list(_VARYING.values())[kind]
        end = found.end()
    return pattern + re.escape(shown[end:])
