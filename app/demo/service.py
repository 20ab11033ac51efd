"""The service as a process of its own, on an embedded database in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from app.console.problems import ServiceUnreachable
from app.core.errors import SeatwiseError

HOST = "127.0.0.1"
START_S = 120.0
STOP_S = 30.0
LOG_TAIL = 20
_POLL_S = 0.1
_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running service; `key` has the role admin."""

    url: str
    key: str = field(repr=False)
    log: Path
    process: asyncio.subprocess.Process

    def log_tail(self) -> list[str]:
        """The last lines of its log."""
        return self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:]


@asynccontextmanager
async def running(folder: Path, smtp_url: str) -> AsyncIterator[Service]:
    """The service for the time of the block; all it writes is under `folder`. It may not be ready yet.

    smtp_url   where it hands in its mail.
    """
    port, key = _free_port(), f"sw_demo_{secrets.token_urlsafe(24)}"
    log = folder / "service.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "serve", "--host", HOST, "--port", str(port)),
            cwd=folder,
            env=_environment(folder, key, smtp_url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C of the terminal is for the demo, which ends the service in order
        )
    try:
        yield Service(f"http://{HOST}:{port}", key, log, process)
    finally:
        await _stop(process)
        await asyncio.to_thread(_stop_database, folder / "data" / "postgres" / "postmaster.pid")


async def ready(service: Service) -> None:
    """Wait until it can work. Raises SeatwiseError when that takes too long."""
    try:
        async with asyncio.timeout(START_S), httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
            while True:
                if await _is_ready(client, service):
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise SeatwiseError(f"The service was not ready within {START_S:.0f} s.") from None


async def _is_ready(client: httpx.AsyncClient, service: Service) -> bool:
    try:
        return (await client.get(f"{service.url}/readyz")).is_success
    except httpx.TransportError:
        return False


@asynccontextmanager
async def guarded(service: Service) -> AsyncIterator[None]:
    """A block that is left at once with SeatwiseError when the service ends."""
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(service))
            try:
                yield
            except ServiceUnreachable:
                await asyncio.sleep(_GRACE_S)  # where it has ended, the watch says so first
                raise
            watch.cancel()
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None


async def _watch(service: Service) -> None:
    status = await service.process.wait()
    raise SeatwiseError(f"The service ended by itself with exit status {status}.")


def _environment(folder: Path, key: str, smtp_url: str) -> dict[str, str]:
    """What this process has, without its settings of Seatwise; temporary files go to the folder too."""
    runtime, temporary = folder / "run", folder / "tmp"
    runtime.mkdir(mode=0o700)
    temporary.mkdir(mode=0o755)  # started by root, the database runs as another user and reads from it
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEATWISE_")}
    return {
        **kept,
        "XDG_RUNTIME_DIR": str(runtime),
        "TMPDIR": str(temporary),
        "SEATWISE_DATA_DIR": str(folder / "data"),
        "SEATWISE_ADMIN_KEY": key,
        "SEATWISE_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128",
        "SEATWISE_SMTP_URL": smtp_url,
        "SEATWISE_LOG_FORMAT": "json",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, and end it where it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _stop_database(pid_file: Path) -> None:
    """End a database server that its service could not end, because it was killed itself."""
    try:
        server = psutil.Process(int(pid_file.read_text().split(maxsplit=1)[0]))
        if "postgres" in server.name():
            server.send_signal(signal.SIGQUIT)  # at once: nobody needs its data any more
            server.wait(STOP_S)
    except (OSError, ValueError, IndexError, psutil.Error):
        return
