"""Letting go of what plans have read of a person. What the rows of plans say is cleaned like other tables."""

from __future__ import annotations

from datetime import datetime

from app.core.database import Connection
from app.erasure.traces import Traces

_INSTANCES = """
    SELECT instance_id FROM vendor_users WHERE person_id = $1
    UNION SELECT p.instance_id FROM plan_changes c JOIN plans p ON p.id = c.plan_id
    WHERE c.object_id = $1 OR lower(c.email) = ANY($2::text[])
"""
_HOLD = "SELECT id FROM instances WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"
# A held plan has no pages, and its rows name seats by their ids: it stands.
_SUPERSEDE = """
    UPDATE plans SET status = 'superseded', fence = fence + 1, lease_until = NULL, updated_at = now()
    WHERE instance_id = ANY($1::uuid[]) AND status IN ('planning', 'ready') AND created_at <= $2
"""
_PAGES = """
    DELETE FROM plan_pages WHERE plan_id IN (
        SELECT p.id FROM plans p LEFT JOIN syncs s ON s.id = p.sync_id
        WHERE p.instance_id = ANY($1::uuid[]) AND p.created_at <= $2
          AND (s.status IS NULL OR s.status NOT IN ('queued', 'running'))
    )
"""
_LEFT = """
    SELECT EXISTS (
        SELECT FROM plan_pages g JOIN plans p ON p.id = g.plan_id
        WHERE p.instance_id = ANY($1::uuid[]) AND p.created_at <= $2
    )
"""


async def out_of_plans(connection: Connection, traces: Traces, before: datetime) -> bool:
    """Supersede the open plans that were asked for before a time and have read the person, and remove what they have
    read, in the caller's transaction. False while a sync applies such a plan: it still needs what was read.
    """
    names = [name.lower() for name in traces.names]
    instances = [row["instance_id"] for row in await connection.fetch(_INSTANCES, traces.person_id, names)]
    await connection.execute(_HOLD, instances)
    await connection.execute(_SUPERSEDE, instances, before)
    await connection.execute(_PAGES, instances, before)
    return not await connection.fetchval(_LEFT, instances, before)
