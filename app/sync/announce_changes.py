"""Who came and who went with a sync, told by name: one list for each kind of change, in pages.

Built in the database, a statement for each kind, so that a first sync of very many costs seconds and no memory here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec

from app.core.database import Connection
from app.core.ids import new_id
from app.events.publish import EventType

Kind = Literal["people", "accounts"]
PAGE = 200

_EVENTS: dict[tuple[Kind, str], EventType] = {
    ("people", "created"): "person.created",
    ("people", "deactivated"): "person.deactivated",
    ("accounts", "created"): "account.created",
    ("accounts", "deactivated"): "account.deactivated",
    ("accounts", "reactivated"): "account.reactivated",
}

_COUNTS = """
    SELECT kind, action, count(DISTINCT object_id) AS total FROM history
    WHERE sync_id = $1 AND kind IN ('people', 'accounts') GROUP BY kind, action
"""

# The ids come from outside, in ascending order: pages get their places by them.
_TELL = """
    WITH listed AS (
        SELECT object_id, max(id) AS id, max(name) AS name FROM history
        WHERE sync_id = $1 AND kind = '{kind}' AND action = $2 GROUP BY object_id
    ), placed AS (
        SELECT object_id, name, (row_number() OVER (ORDER BY id) - 1)::int AS place FROM listed
    ), pages AS (
        SELECT l.place / {page} + 1 AS page, jsonb_agg(jsonb_build_object({entry}) ORDER BY l.place) AS entries
        FROM placed l {joined} GROUP BY 1
    )
    INSERT INTO events (id, type, data)
    SELECT ($3::uuid[])[page], $4, $5::text::jsonb || jsonb_build_object(
        'page', page, 'pages', cardinality($3::uuid[]), 'total', $6::int, '{kind}', entries
    ) FROM pages
"""
_PERSON = """
    'person_id', l.object_id, 'name', coalesce(p.name, l.name), 'email', p.email, 'username', p.username,
    'status', p.status, 'role', p.role, 'owner', p.owner, 'restrict_access', p.restrict_access
"""
_ACCOUNT = """
    'account_id', l.object_id, 'person_id', a.person_id, 'application_id', a.application_id, 'application', p.name,
    'vendor_id', a.vendor_id, 'name', coalesce(a.name, l.name), 'email', a.email, 'username', a.username,
    'role', a.role, 'seat', a.seat, 'status', a.status
"""
_STATEMENTS: dict[Kind, str] = {
    "people": _TELL.format(
        kind="people", page=PAGE, entry=_PERSON, joined="LEFT JOIN people p ON p.id = l.object_id"
    ),
    "accounts": _TELL.format(
        kind="accounts",
        page=PAGE,
        entry=_ACCOUNT,
        joined="LEFT JOIN accounts a ON a.id = l.object_id LEFT JOIN applications p ON p.id = a.application_id",
    ),
}  # fmt: skip


async def tell_comings_and_goings(connection: Connection, sync_id: UUID, subjects: Mapping[str, Any]) -> None:
    """Tell everybody whom a sync has created, deactivated or brought back, as they stand in the books now.

    subjects   members of each message beside `page`, `pages`, `total` and the list itself, `people` or `accounts`.
    """
    totals = {(row["kind"], row["action"]): row["total"] for row in await connection.fetch(_COUNTS, sync_id)}
    data = msgspec.json.encode(subjects).decode()
    for (kind, action), type_ in _EVENTS.items():
        total = totals.get((kind, action), 0)
        if total:
            ids = [new_id() for _ in range(-(-total // PAGE))]
            await connection.execute(_STATEMENTS[kind], sync_id, action, ids, type_, data, total)
