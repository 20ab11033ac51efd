"""Accounts as a report sees them. What is being deleted is not there."""

from __future__ import annotations

from app.activity.keyset import Values
from app.reports.columns import Column, split_window
from app.reports.conditions import Expression
from app.reports.query_windows import Windows

_PLAIN = {
    "name": "a.name",
    "email": "a.email",
    "username": "a.username",
    "application": "p.name",
    "instance": "i.name",
    "role": "a.role",
    "seat": "a.seat",
    "status": "a.status",
    "vendor_status": "a.vendor_status",
    "owner": "i.owner",
    "uploaded_by": "i.owner",
    "last_active_at": "a.last_active_at",
    "covered_until": "i.covered_until",
    "assigned_at": "a.assigned_at",
    "first_seen_at": "a.first_seen_at",
    # As the books show it: while a seat stands it was seen at the latest complete read.
    "last_seen_at": "coalesce(a.last_seen_at, i.users_read_at, a.created_at)",
    "deactivated_at": "a.deactivated_at",
    "vendor_id": "a.vendor_id",
    "bypasses_sso": "(CASE WHEN a.bypass_evidence IS NOT NULL THEN 'possible' END)",
    "account_id": "a.id::text",
    "person_id": "a.person_id::text",
    "application_id": "a.application_id::text",
    "instance_id": "a.instance_id::text",
    "sync_id": "a.sync_id::text",
    "created_at": "a.created_at",
    "updated_at": "a.updated_at",
}
_JSON = ("metadata", "fields")
_MAPPED = {"isc_source_id": "coalesce(m.source_id, s.source_id)", "isc_native_identity": "m.native_identity"}
# An application may be tied to several sources: the one that lists the account counts, else the first.
_SOURCES = """
    LEFT JOIN (
        SELECT DISTINCT ON (application_id) application_id, source_id FROM source_mappings ORDER BY application_id, id
    ) s ON s.application_id = a.application_id
    LEFT JOIN (
        SELECT DISTINCT ON (k.account_id) k.account_id, k.native_identity, t.source_id
        FROM isc_accounts k JOIN source_mappings t ON t.id = k.mapping_id
        WHERE k.account_id IS NOT NULL ORDER BY k.account_id, t.id
    ) m ON m.account_id = a.id
"""


class Accounts:
    """One row for each account."""

    identity = "a.id"
    subject = "a.person_id"
    condition = "true"

    def __init__(self, windows: Windows, values: Values) -> None:
        self._windows = windows
        self._values = values
        self._used = False
        self._mapped = False

    def expression(self, column: Column) -> Expression:
        base, days = split_window(column.key)
        if base in _PLAIN:
            return Expression(_PLAIN[base])
        if base in _MAPPED:
            self._mapped = True
            return Expression(_MAPPED[base])
        member, _, key = column.key.partition(".")
        if member in _JSON and key:
            return Expression(f"(a.{member} -> {self._values.add(key)}::text)", json=True)
        number = self._windows.number(days)
        if base == "covered_days":
            return Expression(f"i.c{number}")
        self._used = True
        if base == "usage":
            return Expression(self._windows.usage("u", "i", number))
        return Expression(f"(CASE WHEN i.c{number} > 0 THEN coalesce(u.d{number}, 0) END)")

    def tables(self) -> tuple[str, str]:
        """What stands before SELECT, and what stands after FROM, once all expressions were asked for."""
        found = "accounts a JOIN observed i ON i.id = a.instance_id JOIN applications p ON p.id = a.application_id"
        if self._mapped:
            found += _SOURCES
        if self._used:
            found += f" LEFT JOIN ({self._days()}) u ON u.account_id = a.id"
        return f"WITH observed AS MATERIALIZED ({observed(self._windows)})", found

    def _days(self) -> str:
        windows = self._windows
        sums = windows.sums("y.days", "y.year", before_today=False, summed=not windows.single_year)
        return (
            f"SELECT y.account_id{sums} FROM activity_years y"
            f" WHERE y.year BETWEEN {windows.years[0]} AND {windows.years[1]}"
            f" AND y.last_day >= {self._values.add(windows.first)}::date"
            f"{'' if windows.single_year else ' GROUP BY y.account_id'}"
        )


def observed(windows: Windows | None) -> str:
    """The instances that count, numbered, with what each has observed of every window."""
    sums, joined = "", ""
    if windows is not None and windows.any:
        first, last = windows.years
        sums = windows.sums("y.days", "y.year", before_today=True)
        joined = f" LEFT JOIN coverage_years y ON y.instance_id = i.id AND y.year BETWEEN {first} AND {last}"
    return (
        "SELECT i.id, i.name, i.owner, i.covered_until, i.users_read_at,"
        f" (row_number() OVER (ORDER BY i.id))::int - 1 AS place{sums}"
        f" FROM instances i{joined} WHERE NOT (i.leaving OR i.status = 'deleting') GROUP BY i.id"
    )
