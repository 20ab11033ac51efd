"""Applications as a report sees them: seats by their use in the report's window, and what they cost."""

from __future__ import annotations

from app.activity.days import Span
from app.activity.keyset import Values
from app.licences.costs import costs_sql
from app.reports.columns import Column
from app.reports.conditions import Expression
from app.reports.query_accounts import observed
from app.reports.query_windows import Windows

_PLAIN = {
    "name": "p.name",
    "vendor": "c.vendor",
    "category": "p.category",
    "owner": "p.owner",
    "uploaded_by": "p.uploaded_by",
    "instance": "i.name",
    "kind": "p.kind",
    "status": "p.status",
    "access": "p.access",
    "covered_until": "o.covered_until",
    "vendor_id": "p.vendor_id",
    "application_id": "p.id::text",
    "instance_id": "p.instance_id::text",
    "catalog_id": "p.catalog_id::text",
    "created_at": "p.created_at",
    "updated_at": "p.updated_at",
}
_COUNTED = {
    "accounts": "coalesce(k.assigned, 0)",
    "used": "coalesce(k.used, 0)",
    # The coverage is the instance's, so those without use are either all unused or all unknown.
    "unused": "(CASE WHEN {whole} THEN k.assigned - k.used ELSE 0 END)",
    "unknown": "(CASE WHEN {whole} THEN 0 ELSE coalesce(k.assigned - k.used, 0) END)",
    "seats_bought": "k.seats_bought",
    "cost_of_unused": "(CASE WHEN {whole} THEN k.cost_of_unused ELSE k.cost_of_unused * 0 END)",
    "total_cost": "k.total_cost",
    "currency": "k.currency",
    "per": "k.per",
}


class Applications:
    """One row for each application; no person is meant by it."""

    identity = "p.id"
    subject = "NULL::uuid"
    condition = "i.status <> 'deleting'"

    def __init__(self, windows: Windows, span: Span, values: Values) -> None:
        self._windows = windows
        self._span = span
        self._values = values
        self._counted = False

    def expression(self, column: Column) -> Expression:
        if column.key in _PLAIN:
            return Expression(_PLAIN[column.key])
        if column.key == "covered_days":
            return Expression(f"coalesce(o.c{self._windows.number(None)}, 0)")
        self._counted = True
        whole = self._windows.whole("o", self._windows.number(None))
        return Expression(_COUNTED[column.key].format(whole=whole))

    def tables(self) -> tuple[str, str]:
        """What stands before SELECT, and what stands after FROM, once all expressions were asked for."""
        found = (
            "applications p JOIN instances i ON i.id = p.instance_id LEFT JOIN observed o ON o.id = p.instance_id"
            " LEFT JOIN catalog c ON c.id = p.catalog_id"
        )
        if self._counted:
            found += f" LEFT JOIN ({costs_sql(self._span, self._values)}) k ON k.application_id = p.id"
        return f"WITH observed AS MATERIALIZED ({observed(self._windows)})", found
