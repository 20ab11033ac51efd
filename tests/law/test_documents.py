"""What the documents say of the service is what the service says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from app.core.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    told = set(re.findall(r"^# (SEATWISE_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert told == {f"SEATWISE_{name.upper()}" for name in Settings.model_fields}


def test_every_folder_of_the_house_is_on_the_map() -> None:
    readme = (ROOT / "README.md").read_text()
    rooms = [p.name for p in (ROOT / "app").iterdir() if p.is_dir() and not p.name.startswith("_")]
    assert [room for room in rooms if f"app/{room}/" not in readme] == []


def test_no_module_is_longer_than_one_sitting() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for folder in ("app", "migrations", "tests", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
        if "versions" not in file.parts and (lines := len(file.read_text().splitlines())) > 430
    }
    assert long == {}
