"""Serving a simulated vendor on loopback: in the running event loop, in a thread, or all three in a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
import uvloop

from app.demo.vendors import ironclad, okta, pingone
from app.demo.vendors.faults import Faults
from app.demo.vendors.ironclad_tenant import ACCOUNT
from app.demo.vendors.okta_oauth import CLIENT_ID as OKTA_CLIENT_ID
from app.demo.vendors.okta_oauth import KEY_ID
from app.demo.vendors.pingone_records import CLIENT_ID as PINGONE_CLIENT_ID
from app.demo.vendors.pingone_records import ENVIRONMENT
from app.demo.vendors.vendor import Seen, Vendor
from app.demo.vendors.world import World

_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one would type into Seatwise. All values are invented; None where the vendor has no such thing."""

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    environment_id: str | None = None
    auth_method: str | None = None
    api_token: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    key_id: str | None = None
    access_token: str | None = field(default=None, repr=False)
    account_id: int | None = None


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone, and says when it listens."""

    on_ready: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


class VendorServer:
    """One vendor on 127.0.0.1, at a port of the system's choice.

    `async with VendorServer(vendor):` serves in the running loop, `with VendorServer(vendor):` (or start and stop) in
    a thread with a loop of its own. base_url has no slash at its end; api_url and auth_url are what the connector
    options of those names take.
    """

    def __init__(self, vendor: Vendor, *, port: int = 0) -> None:
        self.vendor = vendor
        # The protocol is named because asyncio switches Nagle's delay off only for sockets that name it.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            vendor,
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

    @property
    def api_url(self) -> str:
        paths = {"pingone": "/v1", "ironclad-clickwrap": "/v1.1"}
        return self.base_url + paths.get(self.vendor.key, "")

    @property
    def auth_url(self) -> str:
        return self.base_url

    @property
    def faults(self) -> Faults:
        return self.vendor.faults

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, oldest first."""
        return self.vendor.requests

    @property
    def credentials(self) -> Credentials:
        vendor = self.vendor
        if isinstance(vendor, okta.OktaVendor):
            pem = vendor.client.private_key_pem
            return Credentials(OKTA_CLIENT_ID, api_token=okta.API_TOKEN, private_key=pem, key_id=KEY_ID)
        if isinstance(vendor, pingone.PingOneVendor):
            return Credentials(
                PINGONE_CLIENT_ID, vendor.client_secret, environment_id=ENVIRONMENT, auth_method=vendor.auth_method
            )
        return Credentials(
            ironclad.CLIENT_ID, ironclad.CLIENT_SECRET, access_token=ironclad.ACCESS_TOKEN, account_id=ACCOUNT
        )

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
        self._thread = threading.Thread(target=self._run, name=f"vendor-{self.vendor.key}", daemon=True)
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


def vendors_of(world: World, **common: Any) -> tuple[pingone.PingOneVendor, okta.OktaVendor, ironclad.IroncladVendor]:
    """The three vendors of one world; `common` are keyword arguments that all of them take (`links`, `record`)."""
    return (
        pingone.PingOneVendor(world, **common),
        okta.OktaVendor(world, **common),
        ironclad.IroncladVendor(world, **common),
    )
