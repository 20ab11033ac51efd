"""All accounts of Clickwrap that one token shows, read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from app.connectors.contract import Check, Page, User, shown_client
from app.connectors.ironclad.manifest import MANIFEST, MEMBERS, SITES, api_base
from app.connectors.ironclad.records import Sheet, read_roles, read_sheet, read_site, read_user
from app.connectors.reading import read_page
from app.connectors.unlisted import Unlisted
from app.core.errors import CredentialRefused, CursorRefused, InsufficientPermissions, PagingError, UnexpectedAnswer
from app.http.vendor import VendorClient

PAGE = 100
BUCKET = "rest"


class IroncladClickwrap(Unlisted):
    """`client_id` is the API application's, its end shown as whose credential it is.

    Clickwrap stands for itself only: every user has a seat in the one application, of whose use it tells nothing.
    """

    streams = frozenset(MANIFEST.streams)

    def __init__(self, options: Mapping[str, Any], client: VendorClient, client_id: str | None = None) -> None:
        self._client = client
        self._base = api_base(options)
        self._client_id = client_id

    async def check(self) -> Check:
        """Sites, and one page of the members of each account they belong to, are what a sync reads."""
        try:
            accounts, _ = await self._accounts()
        except CredentialRefused as fault:
            return self._checked(code="credential_refused", detail=fault.detail)
        except InsufficientPermissions as fault:
            return self._checked(missing=(SITES.name,), code="insufficient_permissions", detail=fault.detail)
        tenant = ", ".join(accounts) or None
        if not accounts:
            warning = "The token's owner sees no site, so nobody would be listed. Add this user to a site."
            return self._checked(ok=True, granted=(SITES.name,), warnings=(warning,), detail=warning)
        try:
            url = f"{self._base}/accounts/{quote(accounts[0], safe='')}/members"
            await self._client.get(url, params=_asking(1, 1), bucket=BUCKET)
        except InsufficientPermissions as fault:
            return self._checked(
                tenant=tenant,
                granted=(SITES.name,),
                missing=(MEMBERS.name,),
                code="insufficient_permissions",
                detail=fault.detail,
            )
        return self._checked(
            ok=True,
            tenant=tenant,
            granted=(SITES.name, MEMBERS.name),
            detail="Sites and the members of their accounts are read.",
        )

    def _checked(self, *, ok: bool = False, tenant: str | None = None, **said: Any) -> Check:
        return Check(ok=ok, tenant=tenant, subject=shown_client(self._client_id), **said)

    async def users(self, cursor: str | None = None) -> AsyncIterator[Page[User]]:
        """The members of each account; a cursor is the account's id and the page to go on with."""
        accounts, sites = await self._accounts()
        roles = await self._roles(sites)
        position, first = _place(cursor, accounts)
        if not accounts:
            yield Page(records=(), last=True)
        while position < len(accounts):
            coming = f"{accounts[position + 1]}:1" if position + 1 < len(accounts) else None
            url = f"{self._base}/accounts/{quote(accounts[position], safe='')}/members"
            async for number, sheet in self._sheets(url, first):
                yield read_page(
                    sheet.rows,
                    partial(read_user, roles=roles),
                    cursor=f"{accounts[position]}:{number + 1}" if sheet.more else coming,
                    expected=sheet.total if len(accounts) == 1 else None,
                )
            position, first = position + 1, 1

    async def _accounts(self) -> tuple[list[str], list[str]]:
        """The ids of all accounts, in order, and of the sites that are not deleted."""
        accounts: set[str] = set()
        sites: list[str] = []
        async for _, sheet in self._sheets(f"{self._base}/sites", 1):
            for site in filter(None, map(read_site, sheet.rows)):
                if site.account is not None:
                    accounts.add(site.account)
                if site.id is not None and not site.deleted:
                    sites.append(site.id)
        return sorted(accounts, key=lambda account: (len(account), account)), sites

    async def _roles(self, sites: Collection[str]) -> dict[str, set[str]]:
        """The roles of each user on all sites. A site that is gone, or whose members the token's owner may not see,
        adds none: roles are an ornament, and users are listed without them.
        """
        roles: dict[str, set[str]] = {}
        for site in sites:
            try:
                async for _, sheet in self._sheets(f"{self._base}/sites/{quote(site, safe='')}/memberships", 1):
                    read_roles(sheet.rows, roles)
            except InsufficientPermissions:
                continue
            except UnexpectedAnswer as fault:
                if fault.vendor_status != 404:
                    raise
        return roles

    async def _sheets(self, url: str, first: int) -> AsyncIterator[tuple[int, Sheet]]:
        number, before = first, None
        while True:
            sheet = read_sheet(await self._client.get(url, params=_asking(number, PAGE), bucket=BUCKET), number)
            if sheet.more and sheet.rows == before:
                raise PagingError(f"Page {number} is page {number - 1} once more.")
            yield number, sheet
            if not sheet.more:
                return
            number, before = number + 1, sheet.rows


def _asking(page: int, per_page: int) -> dict[str, str | int]:
    return {"page": page, "per_page": per_page}


def _place(cursor: str | None, accounts: Sequence[str]) -> tuple[int, int]:
    """Which of the accounts, and which page of its members."""
    if cursor is None:
        return 0, 1
    account, _, page = cursor.rpartition(":")
    if account not in accounts or not page.isdecimal() or int(page) < 1:
        raise CursorRefused("The account where the last read stopped is no longer among those the token's owner sees.")
    return accounts.index(account), int(page)
