"""What one attempt is made with, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.models import Webhook


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint as an attempt needs it. What is sealed stays so until the moment of sending."""

    id: UUID
    url: str
    format: str
    auth: Mapping[str, Any]
    sealed: str = field(repr=False)
    sealed_signing: str = field(repr=False)

    @classmethod
    def of(cls, webhook: Webhook | Mapping[str, Any]) -> Target:
        """Of a webhook, or of a row with its columns."""
        if isinstance(webhook, Webhook):
            return cls(webhook.id, webhook.url, webhook.format, webhook.auth, webhook.sealed, webhook.sealed_signing)
        return cls(*(webhook[name] for name in ("id", "url", "format", "auth", "sealed", "sealed_signing")))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt.

    status_code            of the receiver's answer; None where none came.
    error                  why it does not count, in plain words; None where it does.
    answer_excerpt         the beginning of the answer, free of secrets; None where nothing was answered.
    workflow_execution_id  what the message has started at SailPoint.
    retry_after_s          seconds that the receiver asked to wait.
    gone                   the receiver wants no further message, ever.
    """

    ok: bool
    status_code: int | None
    latency_ms: int
    error: str | None
    answer_excerpt: str | None
    workflow_execution_id: str | None
    retry_after_s: float | None
    gone: bool
    at: datetime
