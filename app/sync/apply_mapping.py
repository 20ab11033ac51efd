"""What a mapping says of users that are known already: fields written once, and fields that only track the sync."""

from __future__ import annotations

from app.core.database import Connection
from app.sync.mapping import UserMapping
from app.sync.scope import RunScope

# Columns of stage_users that keep what they have, by target; `u` is the vendor user, `p` the person.
_KEPT = {
    "email": "email = u.email, email_key = p.email, anchor = coalesce(p.anchor, s.anchor)",
    "username": "username = u.username",
    "name": "name = u.name",
    "role": "role = u.role",
    "given_name": "given_name = u.given_name",
    "family_name": "family_name = u.family_name",
}
_PICKED = "(SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each({0}) WHERE key = ANY(${1}))"

_TRACK_USERS = f"""
    UPDATE vendor_users u SET fields = u.fields || {_PICKED.format("s.fields", 2)},
        person_fields = u.person_fields || {_PICKED.format("s.person_fields", 3)}
    FROM stage_users s
    WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id
"""
_TRACK_ACCOUNTS = f"""
    UPDATE accounts a SET fields = a.fields || {_PICKED.format("s.fields", 2)} FROM stage_users s
    WHERE a.instance_id = $1 AND a.vendor_id = s.vendor_id
"""
_TRACK_PEOPLE = f"""
    UPDATE people p SET fields = p.fields || {_PICKED.format("s.person_fields", 2)} FROM stage_users s
    WHERE p.source_instance_id = $1 AND p.source_vendor_id = s.vendor_id
"""


async def keep_once_written(connection: Connection, scope: RunScope, mapping: UserMapping) -> None:
    """Give what is mapped `create_only` back to the known of the staged page, as they have it."""
    if not mapping.create_only:
        return
    kept = [_KEPT[target] for target in sorted(mapping.create_only & _KEPT.keys())]
    # A person's username is made of one of the two.
    if ("username" if scope.username_format == "username" else "email") in mapping.create_only:
        kept.append("person_username = u.person_username")
    account, person = mapping.keys(mapping.create_only)
    for column, number in (("fields", 2), ("person_fields", 3)):
        own = _PICKED.format(f"u.{column}", number)
        kept.append(f"{column} = (s.{column} - ${number}::text[]) || {own}")
    await connection.execute(
        f"""
        UPDATE stage_users s SET {", ".join(kept)}
        FROM vendor_users u JOIN people p ON p.id = u.person_id
        WHERE u.instance_id = $1 AND u.vendor_id = s.vendor_id
        """,
        scope.instance_id,
        account,
        person,
    )


async def track(connection: Connection, scope: RunScope, mapping: UserMapping) -> None:
    """Write the tracking fields of the known, past all counting and history: such a change alone is none."""
    account, person = mapping.keys(mapping.tracking - mapping.create_only)
    if account or person:
        await connection.execute(_TRACK_USERS, scope.instance_id, account, person)
    if account:
        await connection.execute(_TRACK_ACCOUNTS, scope.instance_id, account)
    if person:
        await connection.execute(_TRACK_PEOPLE, scope.instance_id, person)
