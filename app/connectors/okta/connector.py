"""One Okta organization, read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from app.connectors.contract import Application, Assignment, Check, Page, Rejected, Use, User
from app.connectors.okta.access import Tenant, check_access
from app.connectors.okta.manifest import MANIFEST, api_base, organization_hosts, sso_url
from app.connectors.okta.records import USE, read_application, read_assignment, read_sheet, read_use, read_user
from app.connectors.reading import read_page
from app.connectors.walking import Params, Walk, is_gone
from app.core.errors import CursorRefused, UnexpectedAnswer
from app.http.vendor import VendorClient

USERS_PAGE = 200
APPLICATIONS_PAGE = 200
ASSIGNMENTS_PAGE = 500
EVENTS_PAGE = 1000

# Okta leaves out of each user what it says costs most on large lists.
LEAN_USERS = {
    "Content-Type": "application/json; okta-response=omitCredentials,omitCredentialsLinks,omitTransitioningToStatus"
}

# The plain list leaves out the deprovisioned; they are asked for apart. The key of a pass begins its cursors.
PASSES: dict[str, Params] = {
    "listed": {"limit": USERS_PAGE},
    "deprovisioned": {"filter": 'status eq "DEPROVISIONED"', "limit": USERS_PAGE},
}

# Okta refuses to be asked for more than 180 days, and keeps 90.
EARLIEST = timedelta(days=179)


class Okta:
    """`client_id` is the service application's; None with an API token."""

    streams = frozenset(MANIFEST.streams)

    def __init__(self, options: Mapping[str, Any], client: VendorClient, client_id: str | None = None) -> None:
        base = api_base(options)
        self._walk = Walk(client, base, sso_url(options), partial(organization_hosts, options))
        self._api = f"{base}/api/v1"
        self._unknown = f"{sso_url(options)} answers, but is no Okta organization."
        self._with_own = bool(options.get("include_own_applications"))
        self._tenant = Tenant(name=httpx.URL(sso_url(options)).host, base=base, client_id=client_id)

    async def check(self) -> Check:
        return await check_access(self._walk, self._tenant)

    async def users(self, cursor: str | None = None) -> AsyncIterator[Page[User]]:
        """Users of every status, in two passes; one who is deprovisioned meanwhile may come in both."""
        first, place = _passage(cursor)
        passes = list(PASSES)[list(PASSES).index(first) :]
        for number, name in enumerate(passes):
            coming = f"{passes[number + 1]}|" if number + 1 < len(passes) else None
            async for sheet, after in self._walk.sheets(
                f"{self._api}/users",
                read_sheet,
                bucket="users",
                params=PASSES[name],
                headers=LEAN_USERS,
                cursor=place,
                unknown=self._unknown,
            ):
                yield read_page(sheet.rows, read_user, cursor=coming if after is None else f"{name}|{after}")
            place = None

    async def applications(self, cursor: str | None = None) -> AsyncIterator[Page[Application]]:
        async for sheet, after in self._walk.sheets(
            f"{self._api}/apps",
            read_sheet,
            bucket="apps",
            params={"limit": APPLICATIONS_PAGE},
            cursor=cursor,
            unknown=self._unknown,
        ):
            yield read_page(sheet.rows, self._read_application, cursor=after)

    def _read_application(self, raw: msgspec.Raw) -> Application | Rejected | None:
        application = read_application(raw)
        if isinstance(application, Application) and application.own and not self._with_own:
            return None
        return application

    async def assignments(self, scope_id: str, cursor: str | None = None) -> AsyncIterator[Page[Assignment]]:
        """The users of the application `scope_id`; none where it was deleted meanwhile."""
        try:
            async for sheet, after in self._walk.sheets(
                f"{self._api}/apps/{quote(scope_id, safe='')}/users",
                read_sheet,
                bucket="app-users",
                params={"limit": ASSIGNMENTS_PAGE},
                cursor=cursor,
            ):
                yield read_page(sheet.rows, partial(read_assignment, application_id=scope_id), cursor=after)
        except UnexpectedAnswer as fault:
            if not is_gone(fault):
                raise
            yield Page(records=(), last=True)

    async def activity(self, since: datetime, until: datetime, cursor: str | None = None) -> AsyncIterator[Page[Use]]:
        """Sign-ons in the order Okta stored them. The log is polled, so it has no end: the first empty page is the
        last one, and its cursor goes on from there the next time.

        Source: developer.okta.com/docs/reference/system-log-query/
        """
        start = max(since, until - EARLIEST).astimezone(UTC)
        sheets = self._walk.sheets(
            f"{self._api}/logs",
            read_sheet,
            bucket="logs",
            params={
                "since": f"{start:%Y-%m-%dT%H:%M:%S}.{start.microsecond // 1000:03d}Z",
                "filter": f'eventType eq "{USE}"',
                "sortOrder": "ASCENDING",
                "limit": EVENTS_PAGE,
            },
            cursor=cursor,
        )
        async with aclosing(sheets):
            async for sheet, after in sheets:
                page = read_page(sheet.rows, partial(read_use, seen=set()), cursor=after)
                if sheet.rows:
                    yield page
                else:
                    yield msgspec.structs.replace(page, last=True)
                    return


def _passage(cursor: str | None) -> tuple[str, str | None]:
    """The pass a cursor belongs to, and its place there; None for the beginning."""
    name, _, place = (cursor or "listed|").partition("|")
    if name not in PASSES:
        raise CursorRefused("The saved place in the list of users is not one that was given.")
    return name, place or None
