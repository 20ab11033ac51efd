"""Which account of an application is which account of a source: by username or e-mail, without case."""

from __future__ import annotations

from uuid import UUID

from app.core.database import Connection

# A native identity tells more than a name, a name more than an address that several accounts may share.
_MATCH = """
    WITH listed AS MATERIALIZED (
        SELECT vendor_id, lower(native_identity) AS key, 1 AS rank FROM isc_accounts WHERE mapping_id = $1
        UNION ALL
        SELECT vendor_id, lower(name), 2 FROM isc_accounts WHERE mapping_id = $1 AND name IS NOT NULL
        UNION ALL
        SELECT vendor_id, lower(mail), 3 FROM isc_accounts WHERE mapping_id = $1 AND mail IS NOT NULL
    ), held AS MATERIALIZED (
        SELECT id, lower(username) AS key FROM accounts WHERE application_id = $2 AND username IS NOT NULL
        UNION ALL
        SELECT id, lower(email) FROM accounts WHERE application_id = $2 AND email IS NOT NULL
    ), nearest AS (
        SELECT DISTINCT ON (held.id) held.id, listed.vendor_id, listed.rank
        FROM held JOIN listed USING (key)
        ORDER BY held.id, listed.rank, listed.vendor_id
    ), chosen AS (
        SELECT DISTINCT ON (vendor_id) vendor_id, id FROM nearest ORDER BY vendor_id, rank, id
    )
    UPDATE isc_accounts i SET account_id = found.id
    FROM (
        SELECT k.vendor_id, c.id FROM isc_accounts k LEFT JOIN chosen c USING (vendor_id) WHERE k.mapping_id = $1
    ) found
    WHERE i.mapping_id = $1 AND i.vendor_id = found.vendor_id AND i.account_id IS DISTINCT FROM found.id
"""
_MATCHED = "UPDATE source_mappings SET accounts_matched_at = now() WHERE id = $1"


async def match(connection: Connection, mapping_id: UUID, application_id: UUID) -> None:
    """Note for each account of the mapping's source which account of the application it is; each is one at most."""
    async with connection.transaction():
        # The planner cannot tell how long these lists are, and would take them for a handful.
        await connection.execute("SET LOCAL enable_nestloop = off")
        await connection.execute(_MATCHED, mapping_id)
        await connection.execute(_MATCH, mapping_id, application_id)
