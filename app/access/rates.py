"""How often one caller may ask: so many requests in each minute of the database's clock, counted over all replicas."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.database import Database
from app.core.errors import TooManyRequests

MINUTE_S = 60

_SECOND = "floor(extract(epoch FROM now()))::bigint"
_COUNT = f"""
    INSERT INTO key_uses (key_id, minute, uses) VALUES ($1, {_SECOND} / {MINUTE_S}, 1)
    ON CONFLICT (key_id, minute) DO UPDATE SET uses = key_uses.uses + 1
    RETURNING uses, {_SECOND} % {MINUTE_S} AS passed
"""
_FORGET = f"DELETE FROM key_uses WHERE minute < {_SECOND} / {MINUTE_S} - 1"


@dataclass(frozen=True, slots=True)
class Rate:
    """What a caller has left of a minute.

    resets_s   seconds until it begins anew.
    """

    limit: int
    used: int
    resets_s: int

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers writes them."""
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={MINUTE_S}',
            "RateLimit": f'"key";r={max(0, self.limit - self.used)};t={self.resets_s}',
        }

    def require(self) -> None:
        """Raises TooManyRequests where this request was one too many."""
        if self.used > self.limit:
            raise TooManyRequests(
                f"This key may make {self.limit} requests a minute. Wait {self.resets_s} s.", wait_s=self.resets_s
            )


async def count_use(database: Database, caller: UUID, limit: int) -> Rate:
    """Count one request of a caller."""
    (row,) = await database.pool.fetch(_COUNT, caller)
    return Rate(limit, row["uses"], MINUTE_S - row["passed"])


async def forget_uses(database: Database) -> None:
    """Remove the counts of minutes that are over."""
    await database.pool.execute(_FORGET)
