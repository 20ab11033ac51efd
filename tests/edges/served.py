"""The service behind a real socket, in a thread of the tests' own process, where no packet can leave the machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import uvicorn

from app.core.settings import Settings
from app.http import egress
from app.main import create_app
from app.opening import opened
from app.scheduler.timetable import ticking
from app.scheduler.worker import working
from app.serving import config_of

STARTS_WITHIN_S = 30.0


async def no_name(host: str, _port: int) -> Sequence[str]:
    """A resolver that knows no name, so that no test asks one of the outside."""
    raise OSError(f"{host} is not looked up here")


@contextmanager
def serving(settings: Settings, monkeypatch: pytest.MonkeyPatch, *, workers: bool = False) -> Iterator[str]:
    """The URL of a service that answers for the time of the block."""
    monkeypatch.setattr(egress, "resolve_by_system", no_name)
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with opened(settings) as runtime:
            background = [lambda: ticking(runtime), lambda: working(runtime)] if workers else []
            application = create_app(runtime, background=background)
            servers.append(uvicorn.Server(config_of(application, host="127.0.0.1", port=0)))
            await servers[0].serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        yield _address(servers, thread)
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(STARTS_WITHIN_S)


def _address(servers: list[uvicorn.Server], thread: threading.Thread) -> str:
    for _ in range(round(STARTS_WITHIN_S / 0.05)):
        if servers and servers[0].started:
            return f"http://127.0.0.1:{servers[0].servers[0].sockets[0].getsockname()[1]}"
        thread.join(0.05)
    pytest.fail("the service did not start")
