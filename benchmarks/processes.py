"""Other processes: one that is asked something and ends, one that serves until its block ends."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psutil

HOST = "127.0.0.1"
START_S = 60.0
STOP_S = 20.0
ROOT = Path(__file__).resolve().parents[1]

Answer = TypeVar("Answer")


class ProcessFailed(Exception):
    """A process ended otherwise than it should; says what it wrote last."""


async def ask(module: str, order: msgspec.Struct, answer: type[Answer]) -> Answer:
    """Run `python -m module`, give it the order on stdin, and read its answer from its last line, both JSON."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await process.communicate(msgspec.json.encode(order))
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise ProcessFailed(f"{module} ended with status {process.returncode}:\n{(out + errors).decode()[-3000:]}")
    return msgspec.json.decode(out.splitlines()[-1], type=answer)


@asynccontextmanager
async def serving(*arguments: str, port: int, log: Path, **settings: str) -> AsyncIterator[None]:
    """`python -m arguments…` for the time of the block, entered once it listens on `port`."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments),
            cwd=ROOT,
            env=environment(settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await _listening(process, port, log)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def process_on(port: int) -> psutil.Process:
    """The service's process; it listens on the port."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(each.laddr and each.laddr.port == port for each in process.net_connections(kind="tcp")):
                return process
    raise LookupError("no process of ours listens there")


async def _listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(START_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
    words = await asyncio.to_thread(log.read_text, errors="replace")
    raise ProcessFailed(f"a server ended at its start:\n{words[-3000:]}")


def environment(settings: Mapping[str, Any] | None = None) -> dict[str, str]:
    """This process's own, without what the service would read from it, and with `settings`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SEATWISE_")}
    return {**own, **(settings or {})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
