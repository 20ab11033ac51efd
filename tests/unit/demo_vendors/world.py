"""What the tests of the simulated vendors share: a small world at a fixed time, and ways to read it over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from app.demo.vendors import pingone
from app.demo.vendors.pingone_records import CLIENT_ID, ENVIRONMENT
from app.demo.vendors.serve import VendorServer

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
SSO = 'eventType eq "user.authentication.sso"'
PING = f"/v1/environments/{ENVIRONMENT}"
Served = tuple[VendorServer, httpx.AsyncClient]
Serve = Callable[..., Awaitable[Served]]


Pages = list[list[dict[str, Any]]]


async def okta_pages(client: httpx.AsyncClient, path: str, **params: str | int) -> Pages:
    """All pages, up to one without a next link or an empty one."""
    pages: Pages = []
    answer = await client.get(path, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        if not answer.json():
            return pages
        pages.append(answer.json())
        if "next" not in answer.links:
            return pages
        answer = await client.get(answer.links["next"]["url"])


async def ping_pages(client: httpx.AsyncClient, path: str, name: str, **params: str | int) -> Pages:
    pages: Pages = []
    answer = await client.get(PING + path, params=params)
    while True:
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["_embedded"][name])
        if "next" not in answer.json()["_links"]:
            return pages
        answer = await client.get(answer.json()["_links"]["next"]["href"])


def flat(pages: Pages) -> list[dict[str, Any]]:
    return [record for page in pages for record in page]


def span(days: int, until: datetime = NOW) -> str:
    since = until - timedelta(days=days)
    return f'recordedAt gt "{since.isoformat()}" and recordedAt lt "{until.isoformat()}"'


async def ping_token(client: httpx.AsyncClient) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": pingone.CLIENT_SECRET}
    answer = await client.post(f"/{ENVIRONMENT}/as/token", data=form)
    assert answer.json()["expires_in"] == 3600
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
