"""What a plan names: the rows of history that a run has written, told without what only that run knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from app.core.database import Connection

ACTIONS = ("created", "updated", "deactivated", "reactivated")
_BATCH = 1000
_COLUMNS = (
    "kind", "action", "object_id", "vendor_id", "name", "email", "application", "before", "after", "history_id",
)  # fmt: skip

# An id that was made within the run means nothing outside of it.
_MADE = (
    "EXISTS (SELECT 1 FROM history c WHERE c.object_id = {0} AND c.sync_id = $1 AND c.id > $2 AND c.action = 'created')"
)
_KNOWN_ONLY = """
    CASE WHEN h.after ->> '{0}' IS NOT NULL AND {1} THEN jsonb_build_object('{0}', NULL) ELSE jsonb_build_object() END
"""
_CHANGES = f"""
    SELECT h.kind, h.action, CASE WHEN {_MADE.format("h.object_id")} THEN NULL ELSE h.object_id END AS object_id,
        CASE h.kind WHEN 'accounts' THEN a.vendor_id WHEN 'people' THEN p.source_vendor_id ELSE x.vendor_id END
            AS vendor_id,
        h.name, coalesce(a.email, p.email) AS email, CASE WHEN h.kind = 'accounts' THEN x.name END AS application,
        h.before,
        h.after || {_KNOWN_ONLY.format("person_id", _MADE.format("(h.after ->> 'person_id')::uuid"))}
            || {_KNOWN_ONLY.format("application_id", _MADE.format("(h.after ->> 'application_id')::uuid"))} AS after,
        (SELECT max(o.id) FROM {{past}} o WHERE o.object_id = h.object_id AND o.id <= $3) AS history_id
    FROM history h
    LEFT JOIN accounts a ON h.kind = 'accounts' AND a.id = h.object_id
    LEFT JOIN people p ON h.kind = 'people' AND p.id = h.object_id
    LEFT JOIN applications x ON x.id = CASE h.kind WHEN 'accounts' THEN a.application_id
        WHEN 'applications' THEN h.object_id END
    WHERE h.sync_id = $1 AND h.id > $2
    ORDER BY h.id
"""

Change = tuple[Any, ...]
"""In the order of `_COLUMNS`."""


async def changes_of(
    connection: Connection, sync_id: UUID, *, after: int, past: str = "history", upto: int
) -> AsyncIterator[Sequence[Change]]:
    """The changes of a run, a batch at a time, in the caller's transaction.

    after        only those that were written behind this row of history.
    past, upto   the table, and the last row in it, of what had happened before the run.
    """
    cursor = await connection.cursor(_CHANGES.format(past=past), sync_id, after, upto)
    while rows := await cursor.fetch(_BATCH):
        yield [tuple(row.values()) for row in rows]


@dataclass(slots=True)
class Book:
    """Numbers the changes of a plan, counts them, and digests them: SHA-256 over each as JSON, in order."""

    plan_id: UUID
    number: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACTIONS, 0))
    _hash: Any = field(default_factory=sha256, repr=False)

    @property
    def digest(self) -> str:
        return str(self._hash.hexdigest())

    async def write(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Keep them, in the caller's transaction."""
        for change in changes:
            self._hash.update(msgspec.json.encode(change[:-1], order="sorted") + b"\n")
            if change[0] == "accounts":
                self.counts[change[1]] += 1
        await connection.copy_records_to_table(
            "plan_changes",
            records=[(self.plan_id, self.number + place, *change) for place, change in enumerate(changes)],
            columns=("plan_id", "number", *_COLUMNS),
        )
        self.number += len(changes)
