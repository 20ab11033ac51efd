"""Reading for an API key in one round trip: the statement itself asks whether the key is valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.access.keys import USE_IS_NOTED, VALID, hash_of
from app.access.principal import ROLES, Role
from app.core.database import Pool

# Asked of the table each time, so that a key that was revoked is refused at once on every replica.
_ADMITTED = f"""
SELECT * FROM ({{statement}}) answer WHERE EXISTS (
    SELECT FROM api_keys WHERE key_hash = {{hash}} AND role = ANY ({{roles}}) AND {VALID} AND {USE_IS_NOTED}
)
"""


class NotAdmittedError(Exception):
    """No rows: there are none, or the key is not one that may read them, or its use has to be noted first."""


@dataclass(slots=True)
class Admission:
    """Fetches for a key whose first statement proves it. One for each request.

    least   the role that the key must have at least.
    """

    pool: Pool
    key: str = field(repr=False)
    least: Role
    _admitted: bool = field(default=False, init=False)

    async def fetch(self, statement: str, *values: Any) -> Sequence[Any]:
        """The rows of a SELECT. Raises NotAdmittedError where the first one gives none, whatever the reason."""
        if self._admitted:
            return await self.pool.fetch(statement, *values)
        number = len(values)
        asked = _ADMITTED.format(statement=statement, hash=f"${number + 1}", roles=f"${number + 2}")
        rows = await self.pool.fetch(asked, *values, hash_of(self.key), _from(self.least))
        if not rows:
            raise NotAdmittedError
        self._admitted = True
        return rows


def _from(least: Role) -> Sequence[Role]:
    return ROLES[ROLES.index(least) :]
