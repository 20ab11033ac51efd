"""A process that is told to stop before it works, and what a worker tells of itself."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.vault import generate_key
from tests.survival.processes import ROOT, STARTS_WITHIN_S, STOPS_WITHIN_S, Replica, environment, free_port


@contextmanager
def _process(*arguments: str, settings: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "process.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments], env=settings, stdout=log, stderr=log, cwd=ROOT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_process_that_waits_for_its_database_ends_when_it_is_told_to(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(STARTS_WITHIN_S)
        url = f"postgresql://seatwise@127.0.0.1:{mute.getsockname()[1]}/seatwise"
        with _process(command, settings=environment(url, tmp_path, generate_key()), folder=tmp_path) as process:
            connection, _ = await asyncio.to_thread(mute.accept)
            with connection:
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, STOPS_WITHIN_S) == 0
    assert "stopped_while_starting" in (tmp_path / "process.log").read_text()


async def test_a_worker_answers_probes_and_prometheus_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    worker = Replica({}, tmp_path, free_port())
    settings = environment(database_url, tmp_path, generate_key())
    arguments = ("worker", "--port", str(worker.port))
    async with httpx.AsyncClient(base_url=worker.url) as client:
        with _process(*arguments, settings=settings, folder=tmp_path) as process:
            await worker.ready()
            alive = await client.get("/healthz")
            figures = await client.get("/metrics")
            others = [await client.get(path) for path in ("/v1/accounts", "/docs", "/openapi.json")]
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, STOPS_WITHIN_S) == 0
    assert alive.json() == {"status": "ok"}
    told = {line.partition(" ")[0]: line.rpartition(" ")[2] for line in figures.text.splitlines()}
    assert float(told["seatwise_last_tick_seconds"]) < 30
    assert float(told['seatwise_database_connections{pool="books",state="most"}']) == 10
    assert {(each.status_code, each.headers["content-type"]) for each in others} == {(404, "application/problem+json")}
