"""What an error of a vendor tells: nothing of our secrets, whatever the vendor repeats."""

from __future__ import annotations

import time

import httpx
import pytest

from app.core.errors import InsufficientPermissions
from app.http.masking import without_secrets
from app.http.pages import link_next
from tests.unit.http.test_http_vendor import API, OAUTH, Desk, Vendor, error


async def test_no_secret_and_no_query_stand_in_an_error() -> None:
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
    uuid = "6f1c0d4e-0000-4000-8000-000000000001"
    words = (
        f"the-static-token Bearer abcdef123 {jwt} 00kU3vXl9q2Wb7Rt5Yp8Zs1Nc4 https://x/y?code=abc {uuid} " + "x " * 999
    )
    desk = Desk(Vendor(error(403, "E6", words)))
    with pytest.raises(InsufficientPermissions) as failed:
        await desk.get(f"{API}?token=query-secret")
    detail = failed.value.detail
    assert not any(s in detail for s in ("the-static", "abcdef123", "eyJ", "00kU3v", "code=abc", "query-secret"))
    assert uuid in detail
    assert len(detail) < 400


@pytest.mark.parametrize("code", ["the-static-token", "E6:static-tok"])
async def test_a_secret_is_no_code_of_a_vendor(code: str) -> None:
    failed = await Desk(Vendor(error(403, code))).fails(InsufficientPermissions)
    assert failed.vendor_code is None
    assert "static" not in failed.detail


async def test_a_piece_of_a_secret_does_not_stand_in_an_error() -> None:
    failed = await Desk(Vendor(error(403, "E6", "You sent e-static-t and more."))).fails(InsufficientPermissions)
    assert "static" not in failed.detail
    assert failed.detail.endswith("You sent *** and more.")


async def test_the_token_in_use_does_not_stand_in_an_error() -> None:
    token = httpx.Response(200, json={"access_token": "mellow-orange-kettle", "expires_in": 3600})
    vendor = Vendor(error(403, "E6", "mellow-orange-kettle may not do this."), tokens=[token])
    failed = await Desk(vendor, OAUTH).fails(InsufficientPermissions)
    assert vendor.sent_tokens == ["Bearer mellow-orange-kettle"]
    assert "kettle" not in failed.detail
    assert failed.detail.endswith("*** may not do this.")


@pytest.mark.parametrize("pattern", ["a=", "?", "=~", "eyJ", "1a-", "<a>;"])
def test_no_words_of_a_vendor_keep_us_busy(pattern: str) -> None:
    began = time.process_time()
    assert len(without_secrets(pattern * 30_000)) <= 300
    assert link_next(httpx.Headers({"Link": pattern * 30_000})) is None
    assert time.process_time() - began < 1
