"""Activity for reviews: of up to 1,000 accounts of one source, in two statements, asking nobody outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.activity.days import Span
from app.certifications.verdict import Mapped, Seat, item_of, unmapped_item
from app.core.clock import now
from app.core.database import Pool, Record

_MAPPED = """
    SELECT m.id, m.source_name, m.application_id, p.kind, c.years, c.days
    FROM source_mappings m
    JOIN applications p ON p.id = m.application_id
    JOIN instances i ON i.id = m.instance_id AND NOT (i.leaving OR i.status = 'deleting')
    LEFT JOIN LATERAL (
        SELECT array_agg(y.year) AS years, array_agg(y.days) AS days FROM coverage_years y
        WHERE y.instance_id = i.id AND y.year >= $2
    ) c ON true
    WHERE m.source_id = $1
    ORDER BY m.id
"""
# What names an account: the text asked for; and where an account of the source has it as its native identity or
# e-mail, all three names of that one. OFFSET 0 keeps each key's look-up one in the index, however large the books are.
_SEATS = """
    WITH asked AS MATERIALIZED (
        SELECT u.place, lower(u.account) COLLATE "C" AS key
        FROM unnest($1::text[]) WITH ORDINALITY AS u (account, place)
    ), listed AS (
        SELECT a.place, i.native_identity, i.name, i.mail FROM asked a
        JOIN isc_accounts i ON i.mapping_id = ANY($2) AND lower(i.native_identity) COLLATE "C" = a.key
        UNION
        SELECT a.place, i.native_identity, i.name, i.mail FROM asked a
        JOIN isc_accounts i ON i.mapping_id = ANY($2) AND lower(i.mail) COLLATE "C" = a.key
    ), keys AS MATERIALIZED (
        SELECT place, key FROM asked
        UNION
        SELECT l.place, lower(n.name) COLLATE "C"
        FROM listed l CROSS JOIN LATERAL (VALUES (l.native_identity), (l.name), (l.mail)) AS n (name)
        WHERE n.name IS NOT NULL
    ), found AS (
        SELECT k.place, a.id FROM keys k
        CROSS JOIN LATERAL (
            SELECT id FROM accounts WHERE lower(email) COLLATE "C" = k.key AND application_id = ANY($3) OFFSET 0
        ) a
        UNION
        SELECT k.place, a.id FROM keys k
        CROSS JOIN LATERAL (
            SELECT id FROM accounts WHERE lower(username) COLLATE "C" = k.key AND application_id = ANY($3) OFFSET 0
        ) a
    )
    SELECT f.place, a.application_id, a.last_active_at, y.years, y.days
    FROM found f
    JOIN accounts a ON a.id = f.id
    CROSS JOIN LATERAL (
        SELECT array_agg(y.year) AS years, array_agg(y.days) AS days FROM activity_years y
        WHERE y.application_id = a.application_id AND y.account_id = a.id
    ) y
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Accounts of one source, by native identity or e-mail, and the windows to tell their use in, at least one."""

    source_id: str
    accounts: Sequence[str]
    windows: Sequence[Span]


async def answer_for(pool: Pool, asked: Question) -> dict[str, Any]:
    """`source_id`, `source_name` (null for an unmapped source), `as_of`, and an item for each account, in order."""
    at = now()
    first_year = min(span.first.year for span in asked.windows)
    async with pool.acquire() as connection:
        mappings = await connection.fetch(_MAPPED, asked.source_id, first_year)
        seats = defaultdict(list)
        if mappings:
            applications = {row["application_id"]: _mapped(row) for row in mappings}
            mapping_ids = [row["id"] for row in mappings]
            rows = await connection.fetch(
                _SEATS, asked.accounts, mapping_ids, [row["application_id"] for row in mappings]
            )
            for row in rows:
                seats[row["place"]].append(_seat(row, applications))
    return {
        "source_id": asked.source_id,
        "source_name": mappings[0]["source_name"] if mappings else None,
        "as_of": at,
        "items": [
            item_of(account, seats[place], asked.windows) if mappings else unmapped_item(account, asked.windows)
            for place, account in enumerate(asked.accounts, start=1)
        ],
    }


def _mapped(row: Record) -> Mapped:
    return Mapped(
        integration="direct" if row["kind"] == "integrated" else "sso",
        coverage=_years(row),
    )


def _seat(row: Record, applications: Mapping[UUID, Mapped]) -> Seat:
    return Seat(applications[row["application_id"]], row["last_active_at"], _years(row))


def _years(row: Record) -> dict[int, Any]:
    return dict(zip(row["years"] or (), row["days"] or (), strict=True))
