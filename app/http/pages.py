"""From one page to the next: where vendors put the link, and how far a link is trusted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
import msgspec

from app.core.errors import PagingError

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+\s*(?:=\s*(?:"[^"]*"|[^\s",;<>]*))?)*)')
_PARAMETER = re.compile(r';\s*([^\s=;,"<>]+)\s*(?:=\s*(?:"([^"]*)"|([^\s",;<>]*)))?')
_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f]")


class _Href(msgspec.Struct, frozen=True):
    href: str


class _Links(msgspec.Struct, frozen=True):
    next: _Href | None = None


class HalNext(msgspec.Struct, frozen=True, kw_only=True):
    """Base of a HAL page's struct: reads `_links.next.href`."""

    links: _Links | None = msgspec.field(name="_links", default=None)

    @property
    def next_link(self) -> str | None:
        return self.links.next.href if self.links and self.links.next else None


def link_next(headers: httpx.Headers) -> str | None:
    """The target of the first link with rel="next", over all `Link` lines, joined or apart (RFC 8288)."""
    for line in headers.get_list("link"):
        for target, parameters in _LINK.findall(line):
            for name, quoted, bare in _PARAMETER.findall(parameters):
                if name.lower() == "rel" and "next" in (quoted or bare).lower().split():
                    return str(target)
    return None


def follow(base_url: str, link: str, *, same_hosts: Collection[str]) -> str:
    """The URL to ask for: path and query of a next link, on the scheme, host and port of `base_url`.

    link        absolute, or relative to base_url.
    same_hosts  hosts that stand for the configured one: the documented host that it replaced, the tenant's own domain.
    Raises PagingError when the link leads to any other host.
    """
    base = urlsplit(base_url)
    try:
        target = urlsplit(urljoin(base_url, link))
        host, foreign = target.hostname, target.scheme not in {"http", "https"} or "@" in target.netloc
    except ValueError as error:
        raise PagingError("The vendor's link to the next page is not a URL.") from error
    if _UNSAFE.search(link) or foreign or not host:
        raise PagingError("The vendor's link to the next page is not a plain http URL.")
    if _comparable(host) not in {_comparable(known) for known in (base.hostname or "", *same_hosts)}:
        raise PagingError(
            f"The vendor's link to the next page leads to another host, {host[:100]}; it is not followed."
        )
    followed = urlunsplit((base.scheme, base.netloc, target.path, target.query, ""))
    try:
        httpx.URL(followed)
    except httpx.InvalidURL as error:
        raise PagingError("The vendor's link to the next page is too long, or not a URL.") from error
    return followed


def _comparable(host: str) -> str:
    return host.lower().rstrip(".")


class Seen:
    """The cursors of one read, by their digests: 16 bytes each, however long the cursors are."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def add(self, cursor: str) -> None:
        """Raises PagingError for a cursor that came before: the read would go round in a circle."""
        digest = hashlib.blake2b(cursor.encode(), digest_size=16).digest()
        if digest in self._digests:
            raise PagingError("The vendor gave a cursor for the next page that it had given before.")
        self._digests.add(digest)
