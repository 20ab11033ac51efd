"""Taking a person out of the books: the person, their vendor users, their accounts, and the history of all of these.

Ids, states, roles, seats, dates and days of use stay, so every figure does.
"""

from __future__ import annotations

from uuid import UUID

from app.core.database import Connection
from app.erasure.traces import MARK, NAME, Traces

_ACCOUNTS = "SELECT id FROM accounts WHERE person_id = $1"
_NAMES = """
    SELECT name FROM (
        SELECT unnest(ARRAY[name, email, username, concat_ws(' ', given_name, family_name)]) AS name
        FROM people WHERE id = $1
        UNION SELECT unnest(ARRAY[name, email, username, person_username, concat_ws(' ', given_name, family_name)])
        FROM vendor_users WHERE person_id = $1
        UNION SELECT unnest(ARRAY[name, email, username]) FROM accounts WHERE person_id = $1
        UNION SELECT name FROM history WHERE object_id = ANY($2::uuid[])
        UNION SELECT i.image ->> k.key
        FROM history h CROSS JOIN LATERAL (VALUES (h.before), (h.after)) i (image)
        CROSS JOIN LATERAL (VALUES ('name'), ('email'), ('username')) k (key)
        WHERE h.object_id = ANY($2::uuid[])
    ) known WHERE btrim(name) NOT IN ('', $3)
"""

_PERSON = """
    UPDATE people SET name = $2, email = NULL, username = NULL, given_name = NULL, family_name = NULL, fields = '{}',
        anchor = 'erased/' || id, updated_at = now()
    WHERE id = $1
"""
_USERS = """
    UPDATE vendor_users SET name = $2, email = NULL, username = NULL, metadata = '{}', fields = '{}',
        person_username = NULL, given_name = NULL, family_name = NULL, person_fields = '{}'
    WHERE person_id = $1
"""
_SEATS = """
    UPDATE accounts SET name = $2, email = NULL, username = NULL, metadata = '{}', fields = '{}', updated_at = now()
    WHERE person_id = $1
"""
_IMAGE = """
    (SELECT coalesce(jsonb_object_agg(key, CASE
        WHEN key = 'name' THEN to_jsonb($2::text)
        WHEN key IN ('email', 'username', 'given_name', 'family_name', 'anchor') THEN 'null'
        WHEN key IN ('metadata', 'fields', 'person_fields') THEN jsonb_build_object()
        ELSE value END), jsonb_build_object())
    FROM jsonb_each({0}))
"""
_HISTORY = f"""
    UPDATE history SET name = $2, before = CASE WHEN before IS NOT NULL THEN {_IMAGE.format("before")} END,
        after = CASE WHEN after IS NOT NULL THEN {_IMAGE.format("after")} END
    WHERE object_id = ANY($1::uuid[])
"""
_EXEMPTIONS = "UPDATE licence_exemptions SET reason = $2 WHERE account_id = ANY($1::uuid[])"


async def traces_of(connection: Connection, person_id: UUID) -> Traces:
    """What the books know the person by, and did."""
    accounts = frozenset(row["id"] for row in await connection.fetch(_ACCOUNTS, person_id))
    rows = await connection.fetch(_NAMES, person_id, [person_id, *accounts], NAME)
    return Traces(person_id, accounts, frozenset(row["name"].strip() for row in rows))


async def out_of_books(connection: Connection, traces: Traces) -> None:
    """In the caller's transaction, in which no sync changes people."""
    for statement in (_PERSON, _USERS, _SEATS):
        await connection.execute(statement, traces.person_id, NAME)
    await connection.execute(_HISTORY, traces.ids, NAME)
    await connection.execute(_EXEMPTIONS, list(traces.accounts), MARK)
