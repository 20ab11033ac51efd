"""No column is forgotten: each that can hold a name is cleaned by an erasure, or stands here with why it is not."""

from __future__ import annotations

from sqlalchemy import ARRAY, JSON, Column, LargeBinary, String

from app.models import Base
from tests.sync.test_erased_columns import written

# A star stands for every table.
KEPT: dict[str, set[str]] = {
    "written by administrators, which stays": {
        "*.created_by", "*.owner", "*.uploaded_by", "history.actor", "api_keys.name", "api_keys.email",
        "audit_events.actor", "audit_events.resource_name", "audit_events.before", "audit_events.after",
        "catalog.name", "catalog.vendor", "catalog.category", "catalog.domains", "catalog.definitions",
        "applications.name", "applications.category", "credentials.name", "credentials.options", "fields.key",
        "fields.title", "fields.choices", "instances.name", "instances.options", "instances.sync",
        "instances.schedule", "instances.mapping", "instances.contacts", "notification_recipients.email",
        "notification_emails.address", "report_emails.address", "reports.name", "reports.columns", "reports.window",
        "reports.sort", "reports.schedule", "reports.outputs", "report_runs.columns", "report_runs.column_types",
        "report_runs.window", "webhooks.name", "webhooks.url", "webhooks.events", "webhooks.auth", "contracts.currency",
    },
    "told by vendors of applications, sources and roles, not of people": {
        "application_entries.label", "application_entries.definition", "application_entries.groups",
        "application_entries.domain", "plan_changes.application", "source_mappings.source_name",
        "source_mappings.source_type", "*.role",
    },
    "a vendor's id or place in its lists": {
        "*.vendor_id", "*.scope_id", "*.entry_id", "*.user_id", "*.cursor", "people.source_vendor_id",
        "source_mappings.source_id", "plans.gone_entries", "instances.activity_cursor", "credentials.client_id_last4",
        "credentials.proved", "deliveries.workflow_execution_id", "vendor_budgets.tenant",
    },
    "one of a few words, a figure or an id of our own": {
        "*.status", "*.kind", "*.type", "*.format", "*.action", "*.connector", "*.scheme", "*.storage", "*.environment",
        "*.trigger", "*.stream", "*.code", "*.event", "*.access", "*.seat", "*.vendor_status", "*.purpose",
        "*.message_id", "*.digest", "*.audience", "*.bucket", "applications.key", "catalog.key", "notifications.key",
        "audit_events.resource_type", "audit_events.resource_id", "audit_events.request_id",
        "application_entries.groups_match", "application_entries.bypass_kind", "credentials.secrets_set",
        "contracts.term", "instances.inactive_reason", "webhooks.disabled_reason", "webhooks.delivery", "plans.reason",
        "plans.counts", "plans.settings", "reports.dataset", "source_mappings.source_environment", "syncs.progress",
        "syncs.counters", "syncs.waiting", "vendor_budgets.state",
    },
    "where a request or a message came from or went to, and what came of it there": {
        "audit_events.address", "listeners.url", "notification_emails.error", "report_emails.error",
        "report_runs.failure", "report_runs.output_failures",
    },
    "sealed, or a digest": {
        "*.sealed", "webhooks.sealed_signing", "api_keys.key_hash", "idempotency_records.caller",
        "idempotency_records.path", "idempotency_records.key", "idempotency_records.body_hash",
    },
    "rewritten or dropped row by row, as tests/sync/test_erased_people.py shows": {
        "report_chunks.ndjson", "report_chunks.csv", "plan_pages.payload", "idempotency_records.sealed_answer",
    },
}  # fmt: skip


def _can_hold_a_name(column: Column[object]) -> bool:
    kind = column.type.item_type if isinstance(column.type, ARRAY) else column.type
    return isinstance(kind, (String, JSON, LargeBinary))


def test_every_column_that_can_hold_a_name_is_cleaned_or_has_a_reason() -> None:
    excepted = set().union(*KEPT.values())
    columns = [
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if _can_hold_a_name(column)
    ]
    cleaned = written()
    left = [
        f"{table}.{column}"
        for table, column in columns
        if (table, column) not in cleaned and not {f"{table}.{column}", f"*.{column}"} & excepted
    ]
    assert left == []
    named = {f"{table}.{column}" for table, column in columns} | {f"*.{column}" for _, column in columns}
    assert excepted <= named, "an exception of a column that is no more"
    assert {f"{table}.{column}" for table, column in cleaned} & excepted == set(), "cleaned, and excepted as well"
