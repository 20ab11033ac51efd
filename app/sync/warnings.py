"""What people are told because time has passed: a sync that runs too long, a credential or a webhook's token that soon
ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from app.core.database import Connection, Database
from app.events.publish import publish
from app.notifications.notify import notify

OVERDUE = timedelta(hours=24)
EXPIRING = timedelta(days=7)

_OVERDUE = """
    SELECT s.id, s.instance_id, i.name, s.started_at FROM syncs s JOIN instances i ON i.id = s.instance_id
    WHERE s.status = 'running' AND s.started_at <= now() - $1::interval
        AND NOT EXISTS (SELECT FROM notifications n WHERE n.key = 'sync_overdue:' || s.id)
"""

# Whom it concerns: the credential's owner, and the contacts of the instances that stop without it; where there are no
# global recipients also whoever made the credential.
_EXPIRING = """
    SELECT c.id, c.name, c.expires_at, now() AS at, c.owner,
        ARRAY(SELECT i.name FROM instances i WHERE i.credential_id = c.id ORDER BY i.name) AS instances,
        ARRAY(SELECT contact FROM instances i, unnest(i.contacts) AS contact WHERE i.credential_id = c.id) AS contacts,
        CASE WHEN NOT EXISTS (SELECT FROM notification_recipients) THEN c.created_by ->> 'email' END AS creator
    FROM credentials c
    WHERE c.expires_at <= now() + $1::interval AND NOT EXISTS (
        SELECT FROM notifications n
        WHERE n.key = 'credential_expiring:' || c.id || ':' || extract(epoch FROM c.expires_at)::bigint
    )
    FOR UPDATE OF c SKIP LOCKED
"""

_EXPIRING_TOKENS = """
    SELECT w.id, w.name, w.token_expires_at AS expires_at, now() AS at,
        CASE WHEN NOT EXISTS (SELECT FROM notification_recipients) THEN w.created_by ->> 'email' END AS creator
    FROM webhooks w
    WHERE w.status = 'enabled' AND w.token_expires_at <= now() + $1::interval AND NOT EXISTS (
        SELECT FROM notifications n
        WHERE n.key = 'credential_expiring:webhook:' || w.id || ':' || extract(epoch FROM w.token_expires_at)::bigint
    )
    FOR UPDATE OF w SKIP LOCKED
"""


async def warn(database: Database) -> None:
    """Tell once of each sync that has run for OVERDUE, and of each credential, or token that was given to a webhook,
    that ends within EXPIRING.
    """
    async with database.transaction() as connection:
        await _warn_of_overdue(connection)
    async with database.transaction() as connection:
        await _warn_of_expiring(connection)
    async with database.transaction() as connection:
        await _warn_of_expiring_tokens(connection)


async def _warn_of_overdue(connection: Connection) -> None:
    for row in await connection.fetch(_OVERDUE, OVERDUE):
        await notify(
            connection,
            "sync_overdue",
            instance_id=row["instance_id"],
            key=f"sync_overdue:{row['id']}",
            subject=f"{row['name']}: the sync has run for 24 hours",
            text=f"The sync that began at {row['started_at']:%Y-%m-%d %H:%M} UTC is still running.\n\n"
            f"GET /v1/syncs/{row['id']} tells how far it is and what it waits for. "
            "It may go on, or be cancelled; what it has read so far stays.",
        )


async def _warn_of_expiring(connection: Connection) -> None:
    for row in await connection.fetch(_EXPIRING, EXPIRING):
        over, ends = _end(row["expires_at"], row["at"])
        used = f" It is used by {', '.join(row['instances'])}." if row["instances"] else ""
        told = await notify(
            connection,
            "credential_expiring",
            instance_id=None,
            key=f"credential_expiring:{row['id']}:{int(row['expires_at'].timestamp())}",
            subject=f"The credential {row['name']} {'has expired' if over else 'expires soon'}",
            text=f"The credential {row['name']} {ends}.{used}\n\n"
            f"Make new secrets at the vendor and give them with POST /v1/credentials/{row['id']}/rotate.",
            also=[address for address in (row["owner"], *row["contacts"], row["creator"]) if address],
        )
        if told:
            data = {"credential_id": row["id"], "credential": row["name"], "expires_at": row["expires_at"]}
            await publish(connection, "credential.expiring", {**data, "reason": ends})


async def _warn_of_expiring_tokens(connection: Connection) -> None:
    for row in await connection.fetch(_EXPIRING_TOKENS, EXPIRING):
        over, ends = _end(row["expires_at"], row["at"])
        told = await notify(
            connection,
            "credential_expiring",
            instance_id=None,
            key=f"credential_expiring:webhook:{row['id']}:{int(row['expires_at'].timestamp())}",
            subject=f"The token of the webhook {row['name']} {'has expired' if over else 'expires soon'}",
            text=f"The bearer token of the webhook {row['name']} {ends}. Messages are refused from then on.\n\n"
            f'Give a new one with PATCH /v1/webhooks/{row["id"]} {{"auth": {{"secret": "…"}}}}; or client credentials, '
            'with the type "oauth2_client_credentials", so that tokens are renewed by themselves.',
            also=[row["creator"]] if row["creator"] else [],
        )
        if told:
            data = {"webhook_id": row["id"], "webhook": row["name"], "expires_at": row["expires_at"]}
            await publish(connection, "credential.expiring", {**data, "reason": ends})


def _end(expires_at: datetime, at: datetime) -> tuple[bool, str]:
    """Whether it is over by then, and that in words."""
    over = expires_at <= at
    return over, f"{'expired' if over else 'expires'} at {expires_at:%Y-%m-%d %H:%M} UTC"
