"""`python -m benchmarks.load`: a closed loop of requests over keep-alive connections, by a client that costs little.

Takes an Order on stdin, gives a Load on stdout.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop


class Order(msgspec.Struct):
    """paths are asked in turn by each of `concurrency` connections for `seconds`."""

    host: str
    port: int
    paths: list[str]
    authorization: str
    concurrency: int
    seconds: float


class Load(msgspec.Struct):
    """per_s: requests; p50_ms, p99_ms: of an answer, over all paths and by path in the order given."""

    per_s: float
    p50_ms: float
    p99_ms: float
    p50_ms_by_path: list[float]


class _Caller(asyncio.Protocol):
    """One connection: sends the next request when the last one is answered. Raises for any status but 200."""

    def __init__(self, requests: list[bytes], ends: float) -> None:
        self.took: list[list[float]] = [[] for _ in requests]
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._ends = requests, ends
        self._turn = 0
        self._sent = 0.0
        self._buffer = bytearray()
        self._missing: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._missing is None:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            self._missing = head + 4 + _length(bytes(self._buffer[:head]))
        if len(self._buffer) >= self._missing:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        if not self._buffer.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(RuntimeError(f"an answer was {bytes(self._buffer[:300])!r}"))
            self._transport.close()
            return
        self.took[self._turn].append(now - self._sent)
        if now >= self._ends:
            self.done.set_result(None)
            self._transport.close()
            return
        self._buffer.clear()
        self._missing = None
        self._turn = (self._turn + 1) % len(self._requests)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._turn])


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError("an answer has no Content-Length")


def _percentile(sorted_s: list[float], share: float) -> float:
    """In milliseconds."""
    return sorted_s[min(len(sorted_s) - 1, int(len(sorted_s) * share))] * 1000


async def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    head = f"Host: {order.host}:{order.port}\r\nAuthorization: {order.authorization}\r\n\r\n"
    requests = [f"GET {path} HTTP/1.1\r\n{head}".encode() for path in order.paths]
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    ends = began + order.seconds
    made = [
        loop.create_connection(lambda: _Caller(requests, ends), order.host, order.port)
        for _ in range(order.concurrency)
    ]
    callers = [caller for _, caller in await asyncio.gather(*made)]
    await asyncio.gather(*(caller.done for caller in callers))
    elapsed = time.perf_counter() - began
    by_path = [sorted(took for caller in callers for took in caller.took[n]) for n in range(len(requests))]
    took = sorted(value for values in by_path for value in values)
    load = Load(
        len(took) / elapsed,
        _percentile(took, 0.5),
        _percentile(took, 0.99),
        [_percentile(values, 0.5) for values in by_path],
    )
    sys.stdout.buffer.write(msgspec.json.encode(load) + b"\n")


if __name__ == "__main__":
    uvloop.run(main())
