"""Who was erased since a run began: what it has read of them before brings nothing back."""

from __future__ import annotations

from app.core.database import Connection
from app.sync.scope import RunScope

# A plan that is applied was read when it was made. What the vendor says of their state still counts.
_KEEP_ERASED = """
    UPDATE stage_users s SET username = u.username, email = u.email, name = u.name, metadata = u.metadata,
        fields = u.fields, email_key = p.email, anchor = p.anchor, person_username = p.username,
        given_name = p.given_name, family_name = p.family_name, person_fields = p.fields
    FROM erasures e JOIN people p ON p.id = e.person_id JOIN vendor_users u ON u.person_id = p.id
    WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id AND p.anchor = 'erased/' || p.id
      AND e.erased_at > coalesce(
          (SELECT read_at FROM plans WHERE sync_id = $2 AND status = 'applied'),
          (SELECT started_at FROM syncs WHERE id = $2)
      )
"""


async def keep_erased(connection: Connection, scope: RunScope) -> None:
    """Give the erased of the staged page back what the books have of them. No removal or erasure runs meanwhile."""
    await connection.execute(_KEEP_ERASED, scope.instance_id, scope.sync_id)
