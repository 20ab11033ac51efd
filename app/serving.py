"""Serving: the application on uvicorn with its clock and workers beside it, ended in good order."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from app.access.keys import ensure_first_key
from app.core.logging import configure as configure_logging
from app.core.settings import Settings
from app.main import Background, create_app
from app.opening import opened
from app.scheduler.timetable import ticking
from app.scheduler.worker import working
from app.sync.runtime import Runtime

log = structlog.get_logger()

# Open connections (event streams among them) may finish within this when the process is told to stop.
DRAIN_S = 5


class _Server(uvicorn.Server):
    """Closes the gate as soon as a signal comes, so that whoever still asks is told to go elsewhere."""

    def __init__(self, application: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._gate = application.state.gate

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._gate.draining = True
        super().handle_exit(sig, frame)


async def serve(settings: Settings, *, host: str, port: int, workers: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logging(settings)
    async with opened(settings) as runtime:
        first_key = await ensure_first_key(runtime.database, settings)
        if first_key is not None:
            print(f"The first API key (role admin), shown this once: {first_key}", flush=True)
        application = create_app(runtime, background=_background(runtime, workers=workers))
        config = uvicorn.Config(
            application,
            host=host,
            port=port,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
        await _Server(application, config).serve()


async def work(settings: Settings) -> None:
    """Tick and work, without the API, until SIGTERM or SIGINT."""
    configure_logging(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened(settings) as runtime, AsyncExitStack() as stack:
        for begin in _background(runtime, workers=True):
            await stack.enter_async_context(begin())
        log.info("worker.started")
        await stop.wait()
    log.info("worker.stopped")


def _background(runtime: Runtime, *, workers: bool) -> list[Background]:
    return [lambda: ticking(runtime), lambda: working(runtime)] if workers else []
