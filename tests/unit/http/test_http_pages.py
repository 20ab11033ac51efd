from __future__ import annotations

import httpx
import msgspec
import pytest

from app.core.errors import PagingError
from app.http.pages import HalNext, Seen, follow, link_next

BASE = "https://api.pingone.eu/v1"


class Users(HalNext, frozen=True, kw_only=True):
    size: int = 0


@pytest.mark.parametrize(
    ("body", "link"),
    [
        (b'{"_links":{"self":{"href":"a"},"next":{"href":"b"}},"size":1}', "b"),
        (b'{"_links":{"self":{"href":"a"}}}', None),
        (b'{"_links":{"next":null}}', None),
        (b"{}", None),
    ],
)
def test_hal_next(body: bytes, link: str | None) -> None:
    assert msgspec.json.decode(body, type=Users).next_link == link


@pytest.mark.parametrize(
    ("lines", "link"),
    [
        (['<https://a/x?after=1,2>; rel="self"', '<https://a/x?after=3,4>; rel="next"'], "https://a/x?after=3,4"),
        (['<https://a/1>; rel="self", <https://a/2>; rel="next"'], "https://a/2"),
        (['<https://a/1>;title="a, b; rel=next";rel=prev,<https://a/2>; title="x";REL=next'], "https://a/2"),
        (['<https://a/2>; rel="last NEXT"'], "https://a/2"),
        (['<https://a/1>; rel="self"'], None),
        (["garbage"], None),
        ([], None),
    ],
)
def test_link_header(lines: list[str], link: str | None) -> None:
    assert link_next(httpx.Headers([("Link", line) for line in lines])) == link


@pytest.mark.parametrize(
    ("base", "link", "asked"),
    [
        (BASE, "https://api.pingone.eu/v1/users?cursor=a%2Bb", "https://api.pingone.eu/v1/users?cursor=a%2Bb"),
        (BASE, "HTTPS://API.pingone.eu:443/v1/users?c=1#x", "https://api.pingone.eu/v1/users?c=1"),
        (BASE, "http://api.pingone.eu/v1/users?c=1", "https://api.pingone.eu/v1/users?c=1"),
        ("http://127.0.0.1:8080/v1", "https://api.pingone.eu/v1/u?c=1", "http://127.0.0.1:8080/v1/u?c=1"),
        (BASE, "/v1/users?c=1", "https://api.pingone.eu/v1/users?c=1"),
        (f"{BASE}/users?c=0", "?c=1", "https://api.pingone.eu/v1/users?c=1"),
    ],
)
def test_a_next_link_is_followed_on_the_configured_host(base: str, link: str, asked: str) -> None:
    assert follow(base, link, same_hosts={"api.pingone.eu"}) == asked


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/users",
        "//evil.example/v1/users",
        "https://api.pingone.eu@evil.example/",
        "https://evil.example@api.pingone.eu/",
        "https://api.pingone.eu.evil.example/",
        "https:\\\\evil.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://[::1/",
        "https://api.pingone.eu/\n",
    ],
)
def test_a_next_link_to_anywhere_else_is_refused(link: str) -> None:
    with pytest.raises(PagingError):
        follow(BASE, link, same_hosts=())


def test_a_cursor_that_comes_again_is_refused() -> None:
    seen = Seen()
    for cursor in ("a", "b", "c"):
        seen.add(cursor)
    with pytest.raises(PagingError):
        seen.add("a")
