"""Things that go wrong on purpose, counted so that a test meets them at the same request every time.

A fault names a path prefix, with or without the API's root (`/users` and `/api/v1/users` both do), and strikes the
requests `at` … `at + times - 1` that match it, counted from when it was added; with `times=None` all from `at` on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal[
    "status",
    "truncated",
    "html",
    "reset",
    "slow",
    "wrong_shape",
    "repeat_cursor",
    "foreign_next",
    "revoke_tokens",
]


@dataclass(slots=True)
class Fault:
    """status, retry_after, code  of a `status` fault: the vendor's own error body is sent; `retry_after` as is.
    delay_s  of a `slow` fault, before the true answer.
    host     of a `foreign_next` fault: scheme and host that the next link points to.
    """

    kind: FaultKind
    path: str
    at: int = 1
    times: int | None = 1
    status: int = 500
    retry_after: str | None = None
    delay_s: float = 0.0
    host: str = "https://collector.example.net"
    seen: int = 0
    struck: int = 0

    def meets(self, path: str, root: str) -> bool:
        """Count a request that matches; True where it is struck."""
        if not path.startswith((self.path, root + self.path)):
            return False
        self.seen += 1
        if self.seen < self.at or (self.times is not None and self.seen >= self.at + self.times):
            return False
        self.struck += 1
        return True


class Faults:
    """The faults of one simulated vendor; may be changed while it serves.

    latency_s  seconds that every answer takes at least.
    """

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self._faults: list[Fault] = []

    def clear(self) -> None:
        self.latency_s = 0.0
        self._faults = []

    def take(self, path: str, root: str) -> Fault | None:
        """The fault that strikes this request; every fault that matches counts it, the one added first wins."""
        struck = [fault for fault in self._faults if fault.meets(path, root)]
        return struck[0] if struck else None

    def too_many(self, path: str = "/", *, at: int = 1, times: int | None = 1, retry_after: str | None = None) -> Fault:
        """429 in the vendor's shape. `retry_after` None: no such header."""
        return self._add(Fault("status", path, at, times, status=429, retry_after=retry_after))

    def status(
        self, status: int, path: str = "/", *, at: int = 1, times: int | None = 1, retry_after: str | None = None
    ) -> Fault:
        return self._add(Fault("status", path, at, times, status=status, retry_after=retry_after))

    def truncated(self, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        """Content-Length of the true answer, half of its bytes, then the connection is closed."""
        return self._add(Fault("truncated", path, at, times))

    def html(self, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        """A web page with status 200, as a proxy or a maintenance screen answers."""
        return self._add(Fault("html", path, at, times))

    def reset(self, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        """The connection is reset before any byte of an answer."""
        return self._add(Fault("reset", path, at, times))

    def slow(self, delay_s: float, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        return self._add(Fault("slow", path, at, times, delay_s=delay_s))

    def wrong_shape(self, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        """An object in place of a list, a list in place of an object."""
        return self._add(Fault("wrong_shape", path, at, times))

    def repeat_cursor(self, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        """The next link leads to the page that was asked for."""
        return self._add(Fault("repeat_cursor", path, at, times))

    def foreign_next(self, path: str = "/", *, at: int = 1, times: int | None = 1, host: str | None = None) -> Fault:
        fault = Fault("foreign_next", path, at, times)
        fault.host = host or fault.host
        return self._add(fault)

    def revoke_tokens(self, path: str = "/", *, at: int = 1, times: int | None = 1) -> Fault:
        """All tokens end just before the request is looked at."""
        return self._add(Fault("revoke_tokens", path, at, times))

    def _add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault
