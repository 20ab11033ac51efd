"""Tables only: columns, constraints, foreign keys by name. What the rows mean is told above this floor."""

from app.models.access import ApiKey, AuditEvent, IdempotencyRecord, SigningKey, Tick
from app.models.activity import ActivityYear, CoverageYear
from app.models.base import Base
from app.models.directory import Account, Application, ApplicationEntry, CatalogEntry, History, Person, VendorUser
from app.models.entries import EntryUser, EntryYear
from app.models.events import Event, Notification, NotificationEmail, NotificationRecipient
from app.models.fields import CustomField
from app.models.instance import (
    Credential,
    Instance,
    Sync,
    SyncError,
    SyncRead,
    SyncSeen,
    VendorBudget,
    VendorToken,
)
from app.models.plan import Plan, PlanChange, PlanPage
from app.models.report import Report, ReportChunk, ReportRun
from app.models.webhook import Delivery, Webhook, WebhookToken

__all__ = [
    "Account",
    "ActivityYear",
    "ApiKey",
    "Application",
    "ApplicationEntry",
    "AuditEvent",
    "Base",
    "CatalogEntry",
    "CoverageYear",
    "Credential",
    "CustomField",
    "Delivery",
    "EntryUser",
    "EntryYear",
    "Event",
    "History",
    "IdempotencyRecord",
    "Instance",
    "Notification",
    "NotificationEmail",
    "NotificationRecipient",
    "Person",
    "Plan",
    "PlanChange",
    "PlanPage",
    "Report",
    "ReportChunk",
    "ReportRun",
    "SigningKey",
    "Sync",
    "SyncError",
    "SyncRead",
    "SyncSeen",
    "Tick",
    "VendorBudget",
    "VendorToken",
    "VendorUser",
    "Webhook",
    "WebhookToken",
]
