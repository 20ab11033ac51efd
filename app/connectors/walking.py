"""Walking a list along the next links its vendor gives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import msgspec

from app.core.errors import CursorRefused, InvalidOptions, UnexpectedAnswer, VendorError
from app.http.pages import Seen, follow
from app.http.vendor import Answer, VendorClient

Params = Mapping[str, str | int]

_CURSOR_IS_GONE = frozenset({400, 404, 410, 422})


class Sheet(NamedTuple):
    """One answer of a list, undecoded: its rows, the next link, and the total where the vendor tells it."""

    rows: list[msgspec.Raw]
    link: str | None
    expected: int | None = None


def no_hosts(_link: str) -> Collection[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Walk:
    """Next links are followed on `base`, wherever it stands in for `documented`.

    own_hosts  further hosts whose links belong to this tenant, asked for each link.
    """

    client: VendorClient
    base: str
    documented: str
    own_hosts: Callable[[str], Collection[str]] = no_hosts

    async def sheets(
        self,
        url: str,
        read: Callable[[Answer], Sheet],
        *,
        bucket: str,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        cursor: str | None = None,
        unknown: str | None = None,
    ) -> AsyncGenerator[tuple[Sheet, str | None], None]:
        """Each sheet with the cursor that goes on after it: path and query of its next link, None at the end.

        Raises PagingError for a link to a stranger or one that was followed before, CursorRefused where the vendor
        no longer takes the `cursor` to begin with, InvalidOptions with the detail `unknown`, where it is given, when
        the list does not exist.
        """
        seen = Seen()
        if cursor is not None:
            url, params = self._followed(cursor), None
            seen.add(url)
        while True:
            try:
                answer = await self.client.get(url, params=params, headers=headers, bucket=bucket)
            except UnexpectedAnswer as fault:
                raise _meant(fault, resumed=cursor is not None, unknown=unknown) from fault
            sheet = read(answer)
            following = None if sheet.link is None else self._followed(sheet.link)
            yield sheet, None if following is None else httpx.URL(following).raw_path.decode("ascii")
            if following is None:
                return
            seen.add(following)
            url, params, cursor, unknown = following, None, None, None

    def _followed(self, link: str) -> str:
        if link.startswith(f"{self.documented}/"):
            link = self.base + link.removeprefix(self.documented)
        hosts = {httpx.URL(self.documented).host, *self.own_hosts(link)}
        return follow(self.base, link, same_hosts=hosts)


def _meant(fault: UnexpectedAnswer, *, resumed: bool, unknown: str | None) -> VendorError:
    """What a refusal says about the request: a stale cursor, a list that never was, or nothing more."""
    facts: dict[str, Any] = {
        "request": fault.request,
        "vendor_status": fault.vendor_status,
        "vendor_code": fault.vendor_code,
    }
    if resumed and fault.vendor_status in _CURSOR_IS_GONE:
        return CursorRefused("The vendor no longer knows the place where the last read stopped.", **facts)
    if unknown is not None and is_gone(fault):
        return InvalidOptions(unknown, **facts)
    return fault


def is_gone(fault: VendorError) -> bool:
    """Whether the vendor says that the thing asked for is not there (any more)."""
    return fault.vendor_status == 404
