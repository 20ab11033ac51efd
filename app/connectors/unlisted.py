"""Streams of vendors that have nothing to list in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from app.connectors.contract import Application, Assignment, Page, Use, User


class Unlisted:
    """One empty page of each stream; a connector has its own in the place of those that its vendor does list."""

    async def users(
        self,
        cursor: str | None = None,  # noqa: ARG002 - the contract's signature
    ) -> AsyncIterator[Page[User]]:
        yield Page(records=(), last=True)

    async def applications(
        self,
        cursor: str | None = None,  # noqa: ARG002 - the contract's signature
    ) -> AsyncIterator[Page[Application]]:
        yield Page(records=(), last=True)

    async def assignments(
        self,
        scope_id: str,  # noqa: ARG002 - the contract's signature
        cursor: str | None = None,  # noqa: ARG002 - the contract's signature
    ) -> AsyncIterator[Page[Assignment]]:
        yield Page(records=(), last=True)

    async def activity(
        self,
        since: datetime,  # noqa: ARG002 - the contract's signature
        until: datetime,  # noqa: ARG002 - the contract's signature
        cursor: str | None = None,  # noqa: ARG002 - the contract's signature
    ) -> AsyncIterator[Page[Use]]:
        yield Page(records=(), last=True)
