"""The custom fields that exist, read from the database for those who map."""

from __future__ import annotations

from app.activity.keyset import Fetch
from app.sync.field_types import Convert, converter


async def converters(fetch: Fetch) -> dict[str, Convert]:
    """How values become each custom field, by its target (`account.cost_center`)."""
    rows = await fetch("SELECT kind, key, type, choices FROM fields")
    return {f"{row['kind']}.{row['key']}": converter(row["type"], row["choices"]) for row in rows}
