"""What the outbound floor is handed from above: where tokens are kept and where a tenant's budget stands.

This floor knows no database. The sync hands in stores on PostgreSQL, so that all replicas share them; tests and
one-off checks hand in the ones in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of a vendor.

    value       the secret itself; never shown by repr.
    issued_at   when it was asked for.
    expires_at  None where the vendor tells no life: then it is renewed only after a 401.
    """

    value: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime | None


class TokenStore(Protocol):
    """Keeps the one token of a credential towards one audience (token URL, client, scope)."""

    async def current(self) -> Token | None:
        """The token all should use now, None where there is none yet."""
        ...

    async def renew(self, used: Token | None, fetch: Callable[[], Awaitable[Token]]) -> Token:
        """One renewal for all who wait: when the kept token is no longer the one `used`, it is answered and
        `fetch` is not called; else `fetch` is called once, under a lock over all replicas, and its token kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Quota:
    """A documented limit, for vendors whose answers tell none: at most `requests` in any `per_s` seconds."""

    requests: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Observed:
    """What a vendor's headers said of a bucket.

    limit, remaining  requests in the window and how many are left, others' use included.
    resets_at         when the window ends, in our clock (already corrected by the answer's Date).
    """

    limit: int
    remaining: int
    resets_at: datetime


class Budget(Protocol):
    """The share of one vendor tenant's quotas that we may use, over all instances and replicas.

    A bucket is a name the connector gives to a group of endpoints that share one quota.
    """

    async def take(self, bucket: str, quota: Quota | None) -> float:
        """Ask to send one request now. 0.0 means it is granted (and counted); else the seconds to wait before
        asking again. `quota` is None for vendors that tell it by headers: then the first request of a window
        goes alone, and the others wait for what its answer says.
        """
        ...

    async def observe(self, bucket: str, observed: Observed) -> None:
        """Record what an answer's headers said. A limit of 0 stands for no word about limits, or no answer at all: it
        ends the wait for the lone request, and a vendor that has never told a limit is not held back before
        `resets_at`.
        """
        ...

    async def block(self, bucket: str, until: datetime) -> None:
        """The vendor said to wait (429, 503): nobody sends to the bucket before `until`."""
        ...
