"""`python -m benchmarks.sink PORT DELAY_S`: a receiver that costs little and notes when each message came first.

POST anything is answered 200 after the delay; GET answers an Arrivals of what came since the last GET.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop

from benchmarks.processes import HOST

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Arrivals(msgspec.Struct):
    """distinct: messages by their `webhook-id`; seconds: from the first of them to come to the last."""

    distinct: int
    requests: int
    seconds: float


class _Sink(asyncio.Protocol):
    def __init__(self, book: dict[bytes, float], counts: list[int], delay_s: float) -> None:
        self._book, self._counts, self._delay_s = book, counts, delay_s
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._buffer[:head]).lower().split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
            end = head + 4 + int(headers.get(b"content-length", b"0"))
            if len(self._buffer) < end:
                return
            del self._buffer[:end]
            self._answer(lines[0], headers)

    def _answer(self, first: bytes, headers: dict[bytes, bytes]) -> None:
        if first.startswith(b"get"):
            self._tell()
            return
        self._counts[0] += 1
        self._book.setdefault(headers.get(b"webhook-id", b""), time.perf_counter())
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._write, _OK)
        else:
            self._write(_OK)

    def _tell(self) -> None:
        at = list(self._book.values())
        seconds = max(at) - min(at) if at else 0.0
        body = msgspec.json.encode(Arrivals(len(at), self._counts[0], seconds))
        self._book.clear()
        self._counts[0] = 0
        self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


async def main(port: int, delay_s: float) -> None:
    book: dict[bytes, float] = {}
    counts = [0]
    server = await asyncio.get_running_loop().create_server(lambda: _Sink(book, counts, delay_s), HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), float(sys.argv[2])))
