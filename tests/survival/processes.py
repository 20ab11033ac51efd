"""Real processes of the service on one database, to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ADMIN_KEY = "sw_a-key-that-only-these-tests-know"
ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 30
STOPS_WITHIN_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Replica:
    """One `seatwise serve`; its log is a file that a failing test can show. code: where the service's code is."""

    environment: dict[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    code: Path = ROOT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve", "--port", str(self.port)],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.code,
            )

    async def ready(self, within_s: float = STARTS_WITHIN_S) -> None:
        async with httpx.AsyncClient() as client, asyncio.timeout(within_s):
            while True:
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """As kill -9 does: nothing of the process runs any more."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> int | None:
        """SIGTERM; the exit status, once it has ended in good order."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self.process = None


def environment(database_url: str, folder: Path, encryption_keys: str, **settings: str) -> dict[str, str]:
    """What a replica is started with: nothing of the tests' own environment that the service would read."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEATWISE_")}
    return {
        **own,
        "SEATWISE_DATABASE_URL": database_url,
        "SEATWISE_DATA_DIR": str(folder),
        "SEATWISE_ENCRYPTION_KEYS": encryption_keys,
        "SEATWISE_ADMIN_KEY": ADMIN_KEY,
        "SEATWISE_OUTBOUND_ALLOW": "127.0.0.0/8",
        "SEATWISE_LOG_FORMAT": "json",
        **settings,
    }


@asynccontextmanager
async def replicas(count: int, settings: dict[str, str], folder: Path) -> AsyncIterator[list[Replica]]:
    """So many replicas, ready to be asked; none is left at the end."""
    async with running([Replica(settings, folder) for _ in range(count)]) as started:
        yield started


@asynccontextmanager
async def running(started: list[Replica]) -> AsyncIterator[list[Replica]]:
    """These replicas, started and ready."""
    try:
        for replica in started:
            replica.start()
        for replica in started:
            await replica.ready()
        yield started
    finally:
        for replica in started:
            replica.kill()


@dataclass
class Caller:
    """Asks whichever replica answers."""

    replicas: list[Replica]
    client: httpx.AsyncClient

    async def call(self, method: str, path: str, *, expect: int = 200, **kwargs: Any) -> Any:
        async with asyncio.timeout(STARTS_WITHIN_S):
            while True:
                for replica in self.replicas:
                    try:
                        answer = await self.client.request(
                            method, replica.url + path, headers={"Authorization": f"Bearer {ADMIN_KEY}"}, **kwargs
                        )
                    except httpx.TransportError:
                        continue
                    assert answer.status_code == expect, answer.text
                    return answer.json() if answer.content else None
                await asyncio.sleep(0.1)

    async def everything(self, path: str) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        items: list[dict[str, Any]] = []
        joint = "&" if "?" in path else "?"
        cursor: str | None = ""
        while cursor is not None:
            page = await self.call("GET", f"{path}{joint}limit=200" + (f"&cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next_cursor"]
        return items

    async def settled(self, sync_id: str, within_s: float = 60) -> dict[str, Any]:
        async with asyncio.timeout(within_s):
            while True:
                sync: dict[str, Any] = await self.call("GET", f"/v1/syncs/{sync_id}")
                if sync["status"] not in {"queued", "running"}:
                    return sync
                await asyncio.sleep(0.1)
