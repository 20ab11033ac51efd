"""One tenant of Identity Security Cloud: its sources, the accounts of each, and what its token may."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from app.connectors.contract import Check, Page, Rejected, shown_client
from app.connectors.manifest import Permission
from app.connectors.reading import decode, read_page, text
from app.connectors.sailpoint.manifest import ACCOUNTS, BUCKET, MANIFEST, SOURCES, api_base
from app.connectors.sailpoint.records import Source, SourceAccount, read_account, read_rows, read_source
from app.connectors.unlisted import Unlisted
from app.core.errors import CredentialRefused, InsufficientPermissions, PagingError, UnexpectedAnswer
from app.http.vendor import VendorClient

T = TypeVar("T")

PAGE = 250
"""The most that ISC lists at once."""

_RIGHT = re.compile(r"[a-z][\w-]*(?::[\w*-]+)+|[A-Z][A-Z_]+")
_OBJECT = msgspec.json.Decoder(msgspec.Raw)


class SailPoint(Unlisted):
    """Pages are counted, not linked: each begins at an offset, which is its cursor, and a short one is the last.

    The people of ISC come into the books from where they work, and a source is tied to an application, it is none.
    """

    streams = frozenset(MANIFEST.streams)

    def __init__(self, options: Mapping[str, Any], client: VendorClient, client_id: str | None = None) -> None:
        self._client = client
        self._base = api_base(options)
        self._client_id = client_id

    async def check(self) -> Check:
        """Whose token it is and what it may, as it says itself; that sources and accounts can be listed is tried."""
        try:
            claims = await self._client.claims()
            tried = {
                SOURCES: await self._may(f"{self._base}/sources/v1"),
                ACCOUNTS: await self._may(f"{self._base}/accounts/v1"),
            }
        except CredentialRefused as fault:
            return Check(ok=False, tenant=None, subject=None, code="credential_refused", detail=fault.detail)
        missing = tuple(permission.name for permission, refusal in tried.items() if refusal is not None)
        host = urlsplit(self._base).netloc.lower()
        return Check(
            ok=not missing,
            tenant=text(claims.get("org")) or text(claims.get("tenant_id")) or host,
            subject=text(claims.get("user_name")) or shown_client(text(claims.get("client_id")) or self._client_id),
            granted=tuple(sorted(_rights(claims, tried))),
            missing=missing,
            code="insufficient_permissions" if missing else None,
            detail=next(filter(None, tried.values()), "Sources and their accounts are read."),
        )

    async def _may(self, url: str) -> str | None:
        """Why a list is refused, None where it is not."""
        try:
            read_rows(await self._client.get(url, params={"limit": 1}, bucket=BUCKET))
        except InsufficientPermissions as fault:
            return fault.detail
        return None

    async def list_sources(
        self, *, offset: int = 0, limit: int, descending: bool = False, count: bool = False
    ) -> Page[Source]:
        """One page of the sources, by name, of fewer than 250; with `count` it expects as many as there are."""
        asked: dict[str, str | int] = {
            "limit": limit + 1,
            "offset": offset,
            "sorters": "-name" if descending else "name",
        }
        if count:
            asked["count"] = "true"
        answer = await self._client.get(f"{self._base}/sources/v1", params=asked, bucket=BUCKET)
        rows = read_rows(answer)
        total = answer.headers.get("x-total-count", "")
        return read_page(
            rows[:limit],
            read_source,
            cursor=str(offset + limit) if len(rows) > limit else None,
            expected=int(total) if total.isdecimal() else None,
        )

    async def find_source(self, source_id: str) -> Source | None:
        """One source; None where the tenant has none with this id, or nothing that could be an id is asked for."""
        try:
            answer = await self._client.get(f"{self._base}/sources/v1/{quote(source_id, safe='')}", bucket=BUCKET)
        except UnexpectedAnswer as fault:
            if fault.vendor_status in {400, 404}:
                return None
            raise
        source = read_source(decode(answer, _OBJECT, expected="a source"))
        return source if isinstance(source, Source) else None

    def sources(self, cursor: str | None = None) -> AsyncGenerator[Page[Source], None]:
        """All sources, by id."""
        return self._pages(f"{self._base}/sources/v1", {"sorters": "id"}, read_source, cursor)

    def accounts(self, source_id: str, cursor: str | None = None) -> AsyncGenerator[Page[SourceAccount], None]:
        """All accounts of one source, by id."""
        params = {"filters": f"sourceId eq {quoted(source_id)}", "sorters": "id"}
        return self._pages(f"{self._base}/accounts/v1", params, read_account, cursor)

    async def _pages(
        self,
        url: str,
        params: Mapping[str, str],
        read: Callable[[msgspec.Raw], T | Rejected],
        cursor: str | None,
    ) -> AsyncGenerator[Page[T], None]:
        offset, before = int(cursor or 0), None
        while True:
            asked: dict[str, str | int] = {**params, "limit": PAGE, "offset": offset}
            rows = read_rows(await self._client.get(url, params=asked, bucket=BUCKET))
            if rows and rows == before:
                raise PagingError(f"The page that begins at {offset} is the one before once more.")
            offset, before = offset + len(rows), rows
            # One that is not full ends the list; a full one may too, and then an empty one follows.
            yield read_page(rows, read, cursor=str(offset) if len(rows) >= PAGE else None)
            if len(rows) < PAGE:
                return


def quoted(value: str) -> str:
    """A text in a filter. `#` and `%` have to come percent-encoded even after the query was decoded.

    Source: developer.sailpoint.com/docs/api/standard-collection-parameters
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%25").replace("#", "%23")
    return f'"{escaped}"'


def _rights(claims: Mapping[str, Any], tried: Mapping[Permission, str | None]) -> Iterable[str]:
    """The rights and user levels of a token, and what was seen to be granted."""
    rights = {permission.name for permission, refusal in tried.items() if refusal is None}
    for name in ("scope", "authorities"):
        listed = claims.get(name)
        words = listed.split() if isinstance(listed, str) else listed if isinstance(listed, list) else ()
        rights |= {word for word in words if isinstance(word, str) and _RIGHT.fullmatch(word)}
    return rights
