"""Tables only: columns, constraints, foreign keys by name. What the rows mean is told above this floor."""

from app.models.access import ApiKey, AuditEvent, IdempotencyRecord, KeyUse, Listener, SigningKey, Tick
from app.models.activity import ActivityYear, CoverageYear
from app.models.base import Base
from app.models.directory import Account, Application, ApplicationEntry, CatalogEntry, History, Person, VendorUser
from app.models.entries import EntryUser, EntryYear, StrayUse
from app.models.erasure import Erasure
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
from app.models.isc import IscAccount, SourceMapping
from app.models.licence import Contract, LicenceExemption
from app.models.plan import Plan, PlanChange, PlanPage
from app.models.report import Report, ReportChunk, ReportEmail, ReportRun
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
    "Contract",
    "CoverageYear",
    "Credential",
    "CustomField",
    "Delivery",
    "EntryUser",
    "EntryYear",
    "Erasure",
    "Event",
    "History",
    "IdempotencyRecord",
    "Instance",
    "IscAccount",
    "KeyUse",
    "LicenceExemption",
    "Listener",
    "Notification",
    "NotificationEmail",
    "NotificationRecipient",
    "Person",
    "Plan",
    "PlanChange",
    "PlanPage",
    "Report",
    "ReportChunk",
    "ReportEmail",
    "ReportRun",
    "SigningKey",
    "SourceMapping",
    "StrayUse",
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
