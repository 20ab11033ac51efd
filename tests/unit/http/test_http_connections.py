"""What a client keeps open between its requests, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from app.http import client as http_client
from app.http.client import build_client
from tests.unit.http.http_servers import LOOPBACK, ok


@dataclass
class Host:
    """A server that keeps connections, as many answers long as it likes; then it ends each.

    hangs_up   after the last answer; else at the next request, which it reads and leaves without an answer.
    """

    answers: int = 1000
    hangs_up: bool = False
    silent: bool = False
    port: int = 0
    opened: int = 0
    ended: list[asyncio.Event] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        ended = asyncio.Event()
        self.ended.append(ended)
        left = self.answers
        while await _head(reader) and left:
            left -= 1
            if not self.silent:
                writer.write(ok(b"{}"))
                await writer.drain()
            if self.hangs_up and not left:
                break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()


async def _head(reader: asyncio.StreamReader) -> bool:
    try:
        await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


@asynccontextmanager
async def keeping(host: Host) -> AsyncIterator[Host]:
    listener = await asyncio.start_server(host.handle, "127.0.0.1", 0)
    host.port = listener.sockets[0].getsockname()[1]
    try:
        yield host
        async with asyncio.timeout(5):
            await asyncio.gather(*(ended.wait() for ended in host.ended))
    finally:
        listener.close()


async def test_requests_one_after_the_other_share_a_connection_and_those_at_a_time_do_not() -> None:
    async with keeping(Host()) as host, build_client(allow=LOOPBACK, timeout_s=5) as client:
        for _ in range(3):
            await client.get(host.url)
        assert host.opened == 1
        await asyncio.gather(*(client.get(host.url) for _ in range(4)))
        assert 2 <= host.opened <= 4
        before = host.opened
        await asyncio.gather(*(client.get(host.url) for _ in range(4)))
        assert host.opened <= max(before, 4)


async def test_a_connection_that_its_host_has_ended_is_replaced() -> None:
    async with keeping(Host(answers=1, hangs_up=True)) as host, build_client(allow=LOOPBACK, timeout_s=5) as client:
        for number in range(3):
            assert (await client.get(host.url)).status_code == 200
            await host.ended[number].wait()
            await asyncio.sleep(0.05)
        assert host.opened == 3


async def test_a_connection_that_its_host_ends_as_it_is_used_again_costs_no_failure() -> None:
    async with keeping(Host(answers=1)) as host, build_client(allow=LOOPBACK, timeout_s=5) as client:
        for _ in range(3):
            assert (await client.get(host.url)).status_code == 200
        assert host.opened == 3


async def test_a_host_that_never_answers_is_asked_once() -> None:
    async with keeping(Host(answers=0)) as host, build_client(allow=LOOPBACK, timeout_s=5) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(host.url)
        assert host.opened == 1


async def test_a_connection_whose_answer_never_came_is_not_used_again() -> None:
    async with keeping(Host(silent=True)) as host, build_client(allow=LOOPBACK, timeout_s=0.3) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(host.url)
        async with asyncio.timeout(5):
            await host.ended[0].wait()
        host.silent = False
        assert (await client.get(host.url)).status_code == 200
        assert host.opened == 2


async def test_no_more_than_eight_are_kept_however_many_hosts_are_asked() -> None:
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(keeping(Host())) for _ in range(http_client.MAX_CONNECTIONS + 2)]
        async with build_client(allow=LOOPBACK, timeout_s=5) as client:
            for host in hosts:
                await client.get(host.url)
            async with asyncio.timeout(5):
                await asyncio.gather(*(host.ended[0].wait() for host in hosts[:2]))
            assert not any(host.ended[0].is_set() for host in hosts[2:])
