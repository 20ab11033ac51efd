"""Cursors that somebody wrote: their form is no secret, and what is in them is believed nowhere."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlencode

import pytest

from tests.api.problems import assert_problem
from tests.conftest import Api

LISTS = [
    *((f"/v1/{name}", "-created_at") for name in ("api-keys", "accounts", "people", "applications", "syncs")),
    *((f"/v1/{name}", "-created_at") for name in ("credentials", "webhooks", "audit-events", "notifications")),
    *((f"/v1/{name}", "name") for name in ("api-keys", "connectors", "accounts", "people", "applications", "catalog")),
    ("/v1/accounts", "-last_active_at"),
    ("/v1/reports/columns", "position"),
]
DATA = [
    *(b"nonsense", b"{}", b"[", b"[]", b"[{}]", b"\xff\xfe", b'[["a"]]', b"[" + b"9" * 400 + b"]"),
    *(b'["\\ud800","x"]', b'["a\\u0000","x"]', b'["x"]', b"[null,null]", b'["NaN","x","y"]', b"[1e400,1]"),
]


def forged(path: str, sort: str, data: bytes) -> str:
    binding = f"{path}?{urlencode({'sort': sort})}"
    return urlsafe_b64encode(sha256(binding.encode() + b"\0" + data).digest()[:8] + data).decode().rstrip("=")


@pytest.mark.parametrize(("path", "sort"), LISTS, ids=[f"{path} by {sort}" for path, sort in LISTS])
async def test_a_cursor_that_somebody_wrote_is_damaged(api: Api, path: str, sort: str) -> None:
    for data in DATA:
        response = await api.get(path, params={"sort": sort, "cursor": forged(path, sort, data)})
        assert_problem(response, 400)


async def test_what_is_forged_here_is_what_the_service_makes(api: Api) -> None:
    path, sort = "/v1/connectors", "name"
    made = (await api.get(path, params={"sort": sort, "limit": 1})).json()["next_cursor"]
    assert made == forged(path, sort, b'["ironclad clickwrap","ironclad-clickwrap"]')
