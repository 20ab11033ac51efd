"""Access tokens that a simulated vendor has given out, and request quotas."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Grant:
    """What a token is good for. `ends` is on the monotonic clock, None for a token without an end."""

    ends: float | None
    scopes: frozenset[str] = frozenset()


class TokenBook:
    """The live tokens of one tenant.

    life_s         seconds a new token lives; None for without an end.
    replaces       a new token ends the older ones.
    refuse_client  True once the client's secret has been taken away: no token is given any more.
    issued         how many tokens have been given out.
    """

    def __init__(self, life_s: float | None, *, replaces: bool = False) -> None:
        self.life_s = life_s
        self.replaces = replaces
        self.refuse_client = False
        self.issued = 0
        self._live: dict[str, Grant] = {}

    def issue(self, scopes: frozenset[str] = frozenset()) -> str:
        token = secrets.token_urlsafe(32)
        self.admit(token, scopes, self.life_s)
        self.issued += 1
        return token

    def admit(self, token: str, scopes: frozenset[str] = frozenset(), life_s: float | None = None) -> None:
        """Let a token of the caller's making in."""
        if self.replaces:
            self._live.clear()
        self._live[token] = Grant(None if life_s is None else time.monotonic() + life_s, scopes)

    def grant(self, token: str) -> Grant | None:
        """What a token is good for, None where it is unknown, revoked or past its end."""
        found = self._live.get(token)
        if found is None or (found.ends is not None and time.monotonic() >= found.ends):
            return None
        return found

    def revoke(self, token: str | None = None) -> None:
        """End one token, or all of them."""
        if token is None:
            self._live.clear()
        else:
            self._live.pop(token, None)


@dataclass(slots=True)
class Window:
    """Requests allowed in each span of `per_s` seconds; a span begins with its first request."""

    limit: int
    per_s: float
    used: int = 0
    began: float = field(default=-math.inf)

    def take(self, count: int = 1) -> bool:
        """Count requests (the caller's own, or those of another client); False once the limit is passed."""
        now = time.time()
        if now >= self.began + self.per_s:
            self.began, self.used = now, 0
        self.used += count
        return self.used <= self.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def resets_at(self) -> int:
        """Epoch seconds, rounded up."""
        return math.ceil(self.began + self.per_s)

    @property
    def wait_s(self) -> int:
        return max(1, math.ceil(self.began + self.per_s - time.time()))
