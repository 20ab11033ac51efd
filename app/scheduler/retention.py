"""What is kept for SEATWISE_RETENTION_DAYS and then removed, in batches: notifications, settled plans and syncs with
all they say, erasures that are done, months of the audit. Books and their history stay as long as what they are about.
"""

from __future__ import annotations

from app.access.audit_store import drop_months
from app.core.database import Database
from app.sync.runtime import Runtime

BATCH = 5000

_SINCE = "SELECT now() - make_interval(days => $1)"

_PLANS = """
    SELECT id FROM plans WHERE status IN ('applied', 'superseded', 'discarded', 'failed')
      AND updated_at < now() - make_interval(days => $1)
"""
# Grace is reckoned from an instance's first success; the latest outcome says whether the next one is a change.
_SYNCS = """
    SELECT s.id FROM syncs s JOIN instances i ON i.id = s.instance_id
    WHERE s.status NOT IN ('queued', 'running') AND s.updated_at < now() - make_interval(days => $1)
      AND s.id IS DISTINCT FROM i.last_sync_id
      AND s.id IS DISTINCT FROM (
          SELECT f.id FROM syncs f WHERE f.instance_id = i.id AND f.status = 'succeeded' ORDER BY f.id LIMIT 1
      )
      AND s.id IS DISTINCT FROM (
          SELECT l.id FROM syncs l WHERE l.instance_id = i.id AND l.status IN ('succeeded', 'failed')
          ORDER BY l.id DESC LIMIT 1
      )
"""
_STATEMENTS = (
    """
    DELETE FROM notifications WHERE id IN (
        SELECT id FROM notifications WHERE created_at < now() - make_interval(days => $1) LIMIT $2
    )
    """,
    """
    DELETE FROM erasures WHERE person_id IN (
        SELECT person_id FROM erasures WHERE finished_at < now() - make_interval(days => $1) LIMIT $2
    )
    """,
    f"""
    DELETE FROM plan_changes WHERE ctid = ANY (ARRAY(
        SELECT c.ctid FROM plan_changes c WHERE c.plan_id IN ({_PLANS}) LIMIT $2
    ))
    """,
    f"DELETE FROM plans WHERE id IN ({_PLANS} LIMIT $2)",
    f"""
    DELETE FROM sync_errors WHERE id IN (
        SELECT e.id FROM sync_errors e WHERE e.sync_id IN ({_SYNCS}) LIMIT $2
    )
    """,
    # Of applications that were joined into others; what an application or account still has goes with that.
    f"""
    DELETE FROM history WHERE id IN (
        SELECT h.id FROM history h WHERE h.sync_id IN ({_SYNCS}) AND h.kind = 'applications'
          AND NOT EXISTS (SELECT FROM applications a WHERE a.id = h.object_id) LIMIT $2
    )
    """,
    f"DELETE FROM syncs WHERE id IN ({_SYNCS} LIMIT $2)",
)


async def forget_old(runtime: Runtime) -> None:
    """Remove what has been kept long enough. Any number of processes may ask."""
    days = runtime.settings.retention_days
    for statement in _STATEMENTS:
        await _until_none(runtime.database, statement, days)
    await drop_months(runtime.database, await runtime.database.pool.fetchval(_SINCE, days))


async def _until_none(database: Database, statement: str, days: int) -> None:
    """Each batch is a transaction of its own."""
    while await database.pool.execute(statement, days, BATCH) != "DELETE 0":
        pass
