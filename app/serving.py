"""Serving: the application on uvicorn with its clock and workers beside it, ended in good order."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import httpx
import structlog
import uvicorn
from fastapi import FastAPI

from app.access.links import remember_listener
from app.api.wire import BoundedHttp
from app.core import tracing
from app.core.logging import configure as configure_logging
from app.core.settings import Settings
from app.main import Background, create_app, create_probes
from app.opening import opened
from app.scheduler.timetable import ticking
from app.scheduler.worker import working
from app.sync.runtime import Runtime

log = structlog.get_logger()

# Open connections (event streams among them) may finish within this when the process is told to stop.
DRAIN_S = 5
# Longer than the clients and proxies of our users keep an idle connection (most: 60 s), so that it is they who close it
# and no request is sent into a connection that is just being closed.
KEEP_ALIVE_S = 75
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Ends in good order at SIGTERM and SIGINT: the gate closes at once, so that whoever still asks is told to go
    elsewhere, and the signal is not raised again, which would end the process before its database is closed.
    """

    def __init__(self, application: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._application = application
        self._gate = application.state.gate

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await _ask_once(self._application)
        await super().startup(sockets)
        _keep_what_is_there()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def _stop(self, number: int) -> None:
        self._gate.draining = True
        self.handle_exit(number, None)


class _ApiServer(_Server):
    """Leaves its address for links, once it listens."""

    def __init__(self, application: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(application, config)
        self._database = application.state.runtime.database

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            await remember_listener(self._database, host, port)


async def serve(settings: Settings, *, host: str, port: int, workers: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    configure_logging(settings)
    async with _ending_at_a_signal(), opened(settings) as runtime, tracing.traced(runtime.process_id):
        application = create_app(runtime, background=_background(runtime, workers=workers))
        await _ApiServer(application, config_of(application, host=host, port=port)).serve()


@asynccontextmanager
async def _ending_at_a_signal() -> AsyncIterator[None]:
    """SIGTERM and SIGINT end the block, in good order, while nothing within has taken them over: a start may wait long
    for the database or for another process's migration. As process 1, which one is in a container, the kernel would
    keep a signal from us that nobody handles.
    """
    loop, block = asyncio.get_running_loop(), asyncio.current_task()
    told = asyncio.Event()

    def stop() -> None:
        if not told.is_set() and block is not None:
            told.set()
            block.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not told.is_set():
            raise
        log.info("stopped_while_starting")
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def _ask_once(application: FastAPI) -> None:
    """Answer one request before anybody is let in: FastAPI makes its routes ready at the first one, which takes some
    tenths of a second, and nobody else is answered meanwhile.
    """
    inside = httpx.ASGITransport(application)
    answer = await inside.handle_async_request(httpx.Request("GET", "http://localhost/healthz"))
    await answer.aread()


def _keep_what_is_there() -> None:
    """Let the garbage collector pass over what the start has made. It stays for the life of the process, and looking
    through it takes a tenth of a second each time, in which nobody is answered, and most of a second at the end.
    """
    gc.freeze()


def config_of(application: FastAPI, *, host: str, port: int) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="none",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )


async def work(settings: Settings, *, host: str = "127.0.0.1", port: int | None = None) -> None:
    """Tick and work, without the API, until SIGTERM or SIGINT. Given a port, answers probes and Prometheus there."""
    configure_logging(settings)
    async with _ending_at_a_signal(), opened(settings) as runtime, tracing.traced(runtime.process_id):
        background = _background(runtime, workers=True)
        if port is None:
            await _work_unheard(background)
        else:
            probes = create_probes(runtime, background=background)
            await _Server(probes, config_of(probes, host=host, port=port)).serve()
    log.info("worker.stopped")


async def _work_unheard(background: list[Background]) -> None:
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        for begin in background:
            await stack.enter_async_context(begin())
        _keep_what_is_there()
        log.info("worker.started")
        await stop.wait()


def _background(runtime: Runtime, *, workers: bool) -> list[Background]:
    return [lambda: ticking(runtime), lambda: working(runtime)] if workers else []
