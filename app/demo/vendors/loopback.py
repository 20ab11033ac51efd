"""An ASGI application on loopback: in the running event loop, or in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Self

import uvicorn
import uvloop
from starlette.types import ASGIApp

_STOP_S = 5.0


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone, and says when it listens."""

    on_ready: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


class Loopback:
    """One application on 127.0.0.1, at a port of the system's choice.

    `async with` serves in the running loop, `with` (or start and stop) in a thread. base_url has no slash at its end.
    """

    def __init__(self, application: ASGIApp, *, port: int = 0, name: str = "application") -> None:
        self._name = name
        # The protocol is named because asyncio switches Nagle's delay off only for sockets that name it.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            backlog=512,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self.base_url = "http://{}:{}".format(*self._socket.getsockname())

    async def __aenter__(self) -> Self:
        ready = asyncio.Event()
        self._server.on_ready = ready.set
        self._task = asyncio.create_task(self._serve())
        await ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    def start(self) -> Self:
        ready = threading.Event()
        self._server.on_ready = ready.set
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        ready.wait(_STOP_S)
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _serve(self) -> None:
        await self._server.serve(sockets=[self._socket])

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())
