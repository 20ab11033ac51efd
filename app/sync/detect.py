"""Accounts that may bypass the sign-on provider, marked with the evidence. Possible is all that can be known.

`not_managed`            a direct integration reports the account, but no sign-on provider gives its person the
                         application (an assignment to a user the provider lists, or access that is open to all).
`used_without_sign_on`   the account was used on a date on which its person did not sign on to the application, though
                         sign-ons of that date were fully observed.
`application_kind`       the application signs on in a way that works without the provider.

A direct integration's application and a detected one are the same where both are tied to one catalogue entry. Providers
count whose instance has `detect_unmanaged`.
"""

from __future__ import annotations

from uuid import UUID

from app.core.database import Connection

_CONCERNED = """
    SELECT EXISTS (
        SELECT 1 FROM instances WHERE (sync ->> 'detect_unmanaged')::boolean AND NOT leaving
    ) OR EXISTS (SELECT 1 FROM accounts WHERE bypass_evidence IS NOT NULL)
"""

# The instance's own accounts, and those of direct integrations of the applications that it detects.
_JUDGED = """
    SELECT a.id, a.instance_id, a.application_id, a.person_id, a.seat, p.kind, p.catalog_id
    FROM accounts a JOIN applications p ON p.id = a.application_id
    WHERE a.instance_id = $1 OR (p.kind = 'integrated' AND p.catalog_id IN (
        SELECT catalog_id FROM applications WHERE instance_id = $1 AND kind = 'detected' AND catalog_id IS NOT NULL
    ))
"""

# Detected applications of the providers that look for what is unmanaged, behind the same catalogue entry.
_BEHIND = """
    SELECT p.id, p.catalog_id, p.instance_id, p.access, i.covered_until
    FROM applications p JOIN instances i ON i.id = p.instance_id
    WHERE p.kind = 'detected' AND p.listed AND p.catalog_id IS NOT NULL AND NOT i.leaving
      AND (i.sync ->> 'detect_unmanaged')::boolean
"""

_NOT_MANAGED = """
    SELECT j.id, 1 AS rank, 'not_managed' AS kind,
        'No sign-on provider gives this person the application.' AS detail
    FROM judged j
    WHERE j.kind = 'integrated' AND j.seat <> 'none'
      AND EXISTS (SELECT 1 FROM behind b WHERE b.catalog_id = j.catalog_id AND b.instance_id <> j.instance_id)
      AND NOT EXISTS (
          SELECT 1 FROM behind b JOIN vendor_users u ON u.instance_id = b.instance_id
          WHERE b.catalog_id = j.catalog_id AND u.person_id = j.person_id AND u.listed AND (
              b.access IN ('open', 'admins') OR EXISTS (
                  SELECT 1 FROM accounts s
                  WHERE s.application_id = b.id AND s.vendor_id = u.vendor_id AND s.seat <> 'none'
              )
          )
      )
"""

# Dates that every provider of the application has fully observed; the date of its latest read is half seen.
_WITHOUT_SIGN_ON = """
    SELECT w.id, 2 AS rank, 'used_without_sign_on' AS kind,
        format('Used on %s without a sign-on on that day%s.', max(w.day),
            CASE WHEN count(*) > 1 THEN format(', and on %s more', count(*) - 1) ELSE '' END) AS detail
    FROM (
        SELECT j.id, make_date(y.year, 1, 1) + n AS day
        FROM judged j
        JOIN activity_years y ON y.application_id = j.application_id AND y.account_id = j.id
        CROSS JOIN LATERAL (
            SELECT bit_and(coalesce(c.days, repeat('0', 366)::bit(366))) AS covered,
                min(b.covered_until AT TIME ZONE 'UTC')::date AS until
            FROM behind b LEFT JOIN coverage_years c ON c.instance_id = b.instance_id AND c.year = y.year
            WHERE b.catalog_id = j.catalog_id AND b.instance_id <> j.instance_id
        ) o
        CROSS JOIN LATERAL (
            SELECT coalesce(bit_or(s.days), repeat('0', 366)::bit(366)) AS days
            FROM behind b JOIN accounts a ON a.application_id = b.id AND a.person_id = j.person_id
            JOIN activity_years s ON s.application_id = a.application_id AND s.account_id = a.id AND s.year = y.year
            WHERE b.catalog_id = j.catalog_id
        ) signed
        CROSS JOIN generate_series(0, 365) AS n
        WHERE j.kind = 'integrated' AND bit_count(y.days & o.covered & ~signed.days) > 0
          AND get_bit(y.days & o.covered & ~signed.days, n) = 1
          AND make_date(y.year, 1, 1) + n < o.until
    ) w GROUP BY w.id
"""

_KIND = """
    SELECT j.id, 3 AS rank, 'application_kind' AS kind,
        format('Its kind of sign-on, %s, can be passed by.', min(e.bypass_kind)) AS detail
    FROM judged j
    JOIN application_entries e ON e.application_id = j.application_id AND e.listed AND e.bypass_kind IS NOT NULL
    JOIN instances i ON i.id = j.instance_id AND (i.sync ->> 'detect_unmanaged')::boolean
    WHERE j.kind = 'detected' AND j.seat <> 'none'
    GROUP BY j.id
"""

# Rows that another sync is writing are left to that sync's own close: waiting for them could wait for ever.
_RENEW = f"""
    WITH judged AS MATERIALIZED ({_JUDGED}), behind AS MATERIALIZED ({_BEHIND}), found AS (
        {_NOT_MANAGED} UNION ALL {_WITHOUT_SIGN_ON} UNION ALL {_KIND}
    ), wanted AS (
        SELECT j.id, f.evidence FROM judged j LEFT JOIN (
            SELECT id, jsonb_agg(jsonb_build_object('kind', kind, 'detail', detail) ORDER BY rank) AS evidence
            FROM found GROUP BY id
        ) f USING (id)
    ), free AS (
        SELECT a.id, w.evidence FROM accounts a JOIN wanted w ON w.id = a.id
        WHERE a.bypass_evidence IS DISTINCT FROM w.evidence
        FOR UPDATE OF a SKIP LOCKED
    )
    UPDATE accounts a SET bypass_evidence = f.evidence FROM free f WHERE a.id = f.id
"""


async def renew_marks(connection: Connection, instance_id: UUID) -> None:
    """Mark anew what a sync of this instance, on either side, may have changed; a mark is no change of an account.

    In the transaction that closes the sync, after its applications were tied to the catalogue.
    """
    if await connection.fetchval(_CONCERNED):
        await connection.execute(_RENEW, instance_id)
