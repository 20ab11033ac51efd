"""Identifiers: UUIDv7 (RFC 9562), so that a primary key is also the order of creation."""

from __future__ import annotations

from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)
