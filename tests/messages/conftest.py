from __future__ import annotations

from tests.sync.conftest import OpenWorld, opening, world

__all__ = ["OpenWorld", "opening", "world"]
