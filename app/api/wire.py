"""What a connection may send before a request is one: uvicorn's HTTP over httptools, which bounds nothing itself."""

from __future__ import annotations

from asyncio import TimerHandle
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.problems import MEDIA_TYPE, problem
from app.core.ids import new_id

MAX_URL_BYTES = 16 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
HEAD_S = 15.0

_DETAILS = {
    400: "This is no HTTP request, or one that two readers could take for different ones.",
    408: f"The head of a request has to be here within {HEAD_S:g} s.",
    414: f"A URL may have {MAX_URL_BYTES} bytes at most.",
    501: "Of the transfer codings, chunked alone is understood here.",
    431: f"A request may have {MAX_HEADERS} headers with {MAX_HEADER_BYTES} bytes at most.",
}


class _RefusedError(Exception):
    """Ends the parser's work on a connection; the status is already known."""


class BoundedHttp(HttpToolsProtocol):
    """Refuses heads that are too large or too slow, each with a problem, and then closes the connection.

    While a head is incomplete its parts are counted as they come, so that none is kept beyond the limits.
    """

    _status = 400
    _in_head = False
    _read = 0
    _header_bytes = 0
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._read += len(data)
        super().data_received(data)
        if self._in_head and self._read > MAX_URL_BYTES + MAX_HEADER_BYTES:
            self._refuse_now(431)
        elif self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._read, self._header_bytes = True, 0, 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget_timer()
        self._demand_one_meaning()
        super().on_headers_complete()

    def _demand_one_meaning(self) -> None:
        """RFC 9112, 3.2 and 6.1; and who calls is told once."""
        sent = Counter(name for name, _ in self.headers)
        hosts = sent[b"host"]
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1") or sent[b"authorization"] > 1:
            self._refuse(400)
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            self._refuse(501)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's interface
        """What the parser did not take, told as every other error is; not in the middle of another answer."""
        self._forget_timer()
        if self.cycle is not None and not self.cycle.response_complete and self._is_being_answered(self.cycle):
            self.transport.close()
            return
        scope: Mapping[str, Any] = {"state": {"request_id": str(new_id())}}
        answer = problem(scope, self._status, _DETAILS[self._status])
        lines = [
            f"HTTP/1.1 {self._status} {HTTPStatus(self._status).phrase}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(answer.body)}",
            f"x-request-id: {scope['state']['request_id']}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + bytes(answer.body))
        self.transport.close()

    @staticmethod
    def _is_being_answered(cycle: Any) -> bool:
        """Whether the request before has been read to its end, so that the next answer on the connection is its own."""
        return bool(cycle.response_started or not cycle.more_body)

    def _refuse(self, status: int) -> None:
        """From inside the parser, which hands its errors to `send_400_response`."""
        self._status = status
        raise _RefusedError

    def _refuse_now(self, status: int) -> None:
        self._status, self._in_head = status, False
        self.send_400_response("")

    def _await_head(self) -> None:
        self._forget_timer()
        self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._refuse_now(408)
        else:
            self.transport.close()

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
