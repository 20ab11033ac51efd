"""People as a report sees them: over all their accounts, but those that are being deleted.

A day counts once, in however many accounts it was used; a date is covered where every instance in which the person has
a seat has covered it. People share few sets of such instances, so each set is looked at once.
"""

from __future__ import annotations

from app.activity.keyset import Values
from app.reports.columns import Column, split_window
from app.reports.conditions import Expression
from app.reports.query_accounts import observed
from app.reports.query_windows import Windows

_PLAIN = {
    "name": "p.name",
    "email": "p.email",
    "username": "p.username",
    "given_name": "p.given_name",
    "family_name": "p.family_name",
    "status": "p.status",
    "role": "p.role",
    "owner": "p.owner",
    "uploaded_by": "p.uploaded_by",
    "restrict_access": "p.restrict_access",
    "person_id": "p.id::text",
    "created_at": "p.created_at",
    "updated_at": "p.updated_at",
}
_HELD = {"accounts": "coalesce(h.accounts, 0)", "last_active_at": "h.last_active_at"}

_ACCOUNTS = """
    SELECT a.person_id, count(*) AS accounts, max(a.last_active_at) AS last_active_at,
        bit_or(set_bit(repeat('0', n.instances)::varbit, o.place, 1)) FILTER (WHERE a.seat <> 'none') AS places
    FROM accounts a JOIN observed o ON o.id = a.instance_id, (SELECT count(*)::int AS instances FROM observed) n
    GROUP BY a.person_id
"""
_APPLICATIONS = """
    SELECT person_id, count(*) AS applications
    FROM (
        SELECT DISTINCT a.person_id, a.application_id FROM accounts a JOIN observed o ON o.id = a.instance_id
    ) seats
    GROUP BY person_id
"""
_COVERED = """
    SELECT s.places, v.*
    FROM (SELECT DISTINCT places FROM held WHERE places IS NOT NULL) s
    CROSS JOIN LATERAL (
        SELECT min(year.covered_until) AS covered_until{sums}
        FROM (
            SELECT y.year,
                CASE WHEN bool_and(o.covered_until IS NOT NULL) THEN min(o.covered_until) END AS covered_until,
                bit_and(coalesce(c.days, repeat('0', 366)::bit(366))) AS days
            FROM observed o CROSS JOIN generate_series({first}, {last}) AS y (year)
            LEFT JOIN coverage_years c ON c.instance_id = o.id AND c.year = y.year
            WHERE get_bit(s.places, o.place) = 1
            GROUP BY y.year
        ) year
    ) v
"""
_DAYS = """
    SELECT person_id{sums}
    FROM (
        SELECT a.person_id, y.year, bit_or(y.days) AS days
        FROM activity_years y
        JOIN accounts a ON a.application_id = y.application_id AND a.id = y.account_id
        JOIN observed o ON o.id = a.instance_id
        WHERE y.year BETWEEN {first} AND {last} AND y.last_day >= {since}::date
        GROUP BY a.person_id, y.year
    ) years
    GROUP BY person_id
"""
# Known from nowhere but what is being deleted.
_LEAVING = """
    p.id NOT IN (
        SELECT u.person_id FROM instances i JOIN vendor_users u ON u.instance_id = i.id
        WHERE (i.leaving OR i.status = 'deleting') AND NOT EXISTS (
            SELECT FROM vendor_users other JOIN observed o ON o.id = other.instance_id
            WHERE other.person_id = u.person_id
        )
    )
"""


class People:
    """One row for each person."""

    identity = "p.id"
    subject = "p.id"
    condition = _LEAVING

    def __init__(self, windows: Windows, values: Values) -> None:
        self._windows = windows
        self._values = values
        self._needs: set[str] = set()

    def expression(self, column: Column) -> Expression:
        base, days = split_window(column.key)
        if base in _PLAIN:
            return Expression(_PLAIN[base])
        if base.startswith("fields."):
            return Expression(f"(p.fields -> {self._values.add(base.removeprefix('fields.'))}::text)", json=True)
        if base == "applications":
            self._needs.add("applications")
            return Expression("coalesce(n.applications, 0)")
        self._needs.add("held")
        if base in _HELD:
            return Expression(_HELD[base])
        number = self._windows.number(days)
        self._needs.add("covered")
        if base == "covered_until":
            return Expression("v.covered_until")
        if base == "covered_days":
            return Expression(f"coalesce(v.c{number}, 0)")
        self._needs.add("days")
        if base == "usage":
            return Expression(self._windows.usage("u", "v", number))
        # Days that are known are told, also where no date was observed in every instance.
        return Expression(f"(CASE WHEN v.c{number} > 0 OR u.d{number} > 0 THEN coalesce(u.d{number}, 0) END)")

    def tables(self) -> tuple[str, str]:
        """What stands before SELECT, and what stands after FROM, once all expressions were asked for."""
        parts = [f"observed AS MATERIALIZED ({observed(None)})"]
        found = "people p"
        if "held" in self._needs:
            parts.append(f"held AS MATERIALIZED ({_ACCOUNTS})")
            found += " LEFT JOIN held h ON h.person_id = p.id"
        if "applications" in self._needs:
            found += f" LEFT JOIN ({_APPLICATIONS}) n ON n.person_id = p.id"
        if "covered" in self._needs:
            parts.append(f"covered AS MATERIALIZED ({self._covered()})")
            found += " LEFT JOIN covered v ON v.places = h.places"
        if "days" in self._needs:
            found += f" LEFT JOIN ({self._days()}) u ON u.person_id = p.id"
        return f"WITH {', '.join(parts)}", found

    def _covered(self) -> str:
        first, last = self._windows.years
        sums = self._windows.sums("year.days", "year.year", before_today=True)
        return _COVERED.format(sums=sums, first=first, last=last)

    def _days(self) -> str:
        first, last = self._windows.years
        sums = self._windows.sums("years.days", "years.year", before_today=False)
        since = self._values.add(self._windows.first)
        return _DAYS.format(sums=sums, first=first, last=last, since=since)
