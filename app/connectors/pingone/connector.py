"""One PingOne environment, read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from app.connectors.contract import Application, Assignment, Check, Page, Rejected, Use, User
from app.connectors.pingone.manifest import MANIFEST, api_base, auth_environment, documented_api
from app.connectors.pingone.records import USE, read_application, read_member, read_sheet, read_use, read_user
from app.connectors.pingone.roles import Tenant, check_roles
from app.connectors.reading import read_page
from app.connectors.walking import Walk, is_gone
from app.core.errors import UnexpectedAnswer
from app.http.vendor import VendorClient

USERS_PAGE = 200
ACTIVITIES_PAGE = 500


class PingOne:
    """`client_id` is the worker application's, needed only to look up its roles."""

    streams = frozenset(MANIFEST.streams)

    def __init__(self, options: Mapping[str, Any], client: VendorClient, client_id: str | None = None) -> None:
        base = api_base(options)
        self._walk = Walk(client, base, documented_api(options))
        self._environment = f"{base}/environments/{options['environment_id']}"
        self._unknown = f"PingOne knows no environment {options['environment_id']} in this region."
        self._with_own = bool(options.get("include_own_applications"))
        self._tenant = Tenant(
            environment_id=str(options["environment_id"]),
            auth_environment_id=auth_environment(options),
            base=base,
            client_id=client_id,
        )

    async def check(self) -> Check:
        return await check_roles(self._walk, self._tenant)

    async def users(self, cursor: str | None = None) -> AsyncIterator[Page[User]]:
        async for sheet, after in self._walk.sheets(
            f"{self._environment}/users",
            partial(read_sheet, collection="users"),
            bucket="configuration",
            params={"limit": USERS_PAGE},
            cursor=cursor,
            unknown=self._unknown,
        ):
            yield read_page(sheet.rows, read_user, cursor=after, expected=sheet.expected)

    async def applications(self, cursor: str | None = None) -> AsyncIterator[Page[Application]]:
        async for sheet, after in self._walk.sheets(
            f"{self._environment}/applications",
            partial(read_sheet, collection="applications"),
            bucket="configuration",
            cursor=cursor,
            unknown=self._unknown,
        ):
            yield read_page(sheet.rows, self._read_application, cursor=after, expected=sheet.expected)

    def _read_application(self, raw: msgspec.Raw) -> Application | Rejected | None:
        application = read_application(raw)
        if isinstance(application, Application) and application.own and not self._with_own:
            return None
        return application

    async def assignments(self, scope_id: str, cursor: str | None = None) -> AsyncIterator[Page[Assignment]]:
        """The members of the group `scope_id`; none where it was deleted meanwhile."""
        try:
            async for sheet, after in self._walk.sheets(
                f"{self._environment}/users",
                partial(read_sheet, collection="users"),
                bucket="configuration",
                params={"filter": f"memberOfGroups[id eq {_quoted(scope_id)}]", "limit": USERS_PAGE},
                cursor=cursor,
            ):
                yield read_page(
                    sheet.rows, partial(read_member, group_id=scope_id), cursor=after, expected=sheet.expected
                )
        except UnexpectedAnswer as fault:
            if not is_gone(fault):
                raise
            yield Page(records=(), last=True)

    async def activity(self, since: datetime, until: datetime, cursor: str | None = None) -> AsyncIterator[Page[Use]]:
        """Permitted accesses recorded in [since, until). The audit service keeps 14 days at hand."""
        window = f"recordedAt gt {_time(since - timedelta(milliseconds=1))} and recordedAt lt {_time(until)}"
        async for sheet, after in self._walk.sheets(
            f"{self._environment}/activities",
            partial(read_sheet, collection="activities"),
            bucket="audit",
            params={"filter": f"{window} and action.type eq {_quoted(USE)}", "limit": ACTIVITIES_PAGE},
            cursor=cursor,
        ):
            yield read_page(sheet.rows, partial(read_use, seen=set()), cursor=after)


def _quoted(value: str) -> str:
    """A string of a SCIM filter, RFC 7644 section 3.4.2.2."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _time(at: datetime) -> str:
    utc = at.astimezone(UTC)
    return f'"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"'
