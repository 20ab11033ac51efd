"""Uses that came between the lists and the log of one sync.

Users and applications are read before the log, so who joins in between stands in the log and in no list. A log that is
followed by a cursor tells each use once; such uses are kept for the next sync, whose lists are newer than they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.connectors.contract import Use
from app.core.database import Connection
from app.sync.scope import RunScope

# How far a vendor's clock may be behind ours.
SKEW = timedelta(minutes=15)

_BEGAN = "SELECT started_at FROM syncs WHERE id = $1"

_KEEP = """
    INSERT INTO stray_uses (instance_id, user_id, entry_id, day, at, sync_id)
    SELECT DISTINCT ON (u.user_id, u.entry_id, (u.at AT TIME ZONE 'UTC')::date)
        $1::uuid, u.user_id, u.entry_id, (u.at AT TIME ZONE 'UTC')::date, u.at, $2::uuid
    FROM unnest($3::text[], $4::text[], $5::timestamptz[]) AS u (user_id, entry_id, at)
    ORDER BY u.user_id, u.entry_id, (u.at AT TIME ZONE 'UTC')::date, u.at DESC
    ON CONFLICT (instance_id, user_id, entry_id, day) DO UPDATE SET
        at = greatest(stray_uses.at, excluded.at), sync_id = excluded.sync_id
"""

# Those of the sync itself, which may be resumed, are for the next one.
_TAKE = """
    DELETE FROM stray_uses WHERE instance_id = $1 AND sync_id <> $2 RETURNING user_id, entry_id, at
"""


async def keep_strays(connection: Connection, scope: RunScope, unplaced: Sequence[Use]) -> None:
    """Keep the uses by users, or of applications, that the sync's lists do not have and may be too old for."""
    if not unplaced:
        return
    began = await connection.fetchval(_BEGAN, scope.sync_id)
    late = [use for use in unplaced if began is not None and use.at >= began - SKEW]
    if late:
        columns = [use.user_id for use in late], [use.application_id for use in late], [use.at for use in late]
        await connection.execute(_KEEP, scope.instance_id, scope.sync_id, *columns)


async def take_strays(connection: Connection, scope: RunScope) -> list[Use]:
    """What earlier syncs have kept, which is kept no longer: a user who is still not listed is none of the vendor's."""
    rows = await connection.fetch(_TAKE, scope.instance_id, scope.sync_id)
    return [Use(row["entry_id"], row["user_id"], row["at"]) for row in rows]
