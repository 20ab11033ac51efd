"""The audit: nothing in it can be altered, months leave whole, all of it can be taken away as lines."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from app.access.audit import masked
from app.access.audit_store import drop_months, make_months
from app.api import audit as route
from app.core.clock import now
from tests.api.instances import make_credential
from tests.conftest import Api


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET action = 'nothing'",
        "DELETE FROM audit_events",
        f"UPDATE audit_events_{datetime.now(UTC):%Y_%m} SET address = NULL",
        f"DELETE FROM audit_events_{datetime.now(UTC):%Y_%m}",
        f"TRUNCATE audit_events_{datetime.now(UTC):%Y_%m}",
        "TRUNCATE audit_events",
    ],
)
async def test_what_was_noted_stays_as_it_is(api: Api, statement: str) -> None:
    await make_credential(api)
    with pytest.raises(asyncpg.RestrictViolationError):
        await api.runtime.database.pool.execute(statement)


def test_secrets_are_masked_however_deep_and_their_names_kept() -> None:
    told = {"auth": {"type": "bearer", "client_secret": "x"}, "secrets": {"id": "y"}, "steps": [{"password": "z"}]}
    assert masked(told) == {
        "auth": {"type": "bearer", "client_secret": "***"}, "secrets": {"id": "***"}, "steps": [{"password": "***"}],
    }  # fmt: skip
    assert masked({"secrets_set": ["api_token"], "token": None}) == {"secrets_set": ["api_token"], "token": None}


async def test_secrets_are_masked_and_a_creation_has_nothing_before(api: Api) -> None:
    made = await make_credential(api, secrets={"api_token": "00-very-secret"})
    event = (await api.get(f"/v1/audit-events?resource_id={made}&action=credential.created")).json()["items"][0]
    assert event["before"] is None
    assert "very-secret" not in json.dumps(event)
    assert event["actor"]["name"] == "an admin"
    assert event["request_id"]


@pytest.mark.parametrize(
    ("told", "kept"),
    [("192.0.2.7", "192.0.2.7"), ("2001:DB8::1", "2001:db8::1"), ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", None)],
)
async def test_of_a_proxy_only_an_address_is_believed(api: Api, told: str, kept: str | None) -> None:
    forwarded = httpx.ASGITransport(api.app, client=(told, 1))
    async with httpx.AsyncClient(transport=forwarded, base_url="http://seatwise.test") as client:
        made = await make_credential(replace(api, client=client))
    event = (await api.get(f"/v1/audit-events?resource_id={made}&action=credential.created")).json()["items"][0]
    assert event["address"] == kept


async def test_all_of_it_as_lines_oldest_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "LINES_AT_ONCE", 2)
    for _ in range(5):
        await make_credential(api)
    answer = await api.get("/v1/audit-events?format=ndjson&action=credential.created")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    listed = (await api.get("/v1/audit-events?action=credential.created&limit=200")).json()["items"]
    assert lines == listed[::-1]
    assert len(lines) >= 5
    later = (now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await api.get("/v1/audit-events", params={"format": "ndjson", "since": later})).content == b""


async def test_a_month_leaves_whole_and_the_next_ones_are_there(api: Api) -> None:
    database = api.runtime.database
    await make_months(database)
    old = now() - timedelta(days=500)
    await database.pool.execute("SELECT seatwise_audit_partitions($1, $1)", old)
    await database.pool.execute(
        "INSERT INTO audit_events (at, actor, action, resource_type) VALUES ($1, '{}', 'old.created', 'old')", old
    )
    dropped = await drop_months(database, now() - timedelta(days=400))
    assert dropped == [f"audit_events_{old:%Y_%m}"]
    assert await database.pool.fetchval("SELECT count(*) FROM audit_events WHERE action = 'old.created'") == 0
    assert await drop_months(database, now() - timedelta(days=400)) == []
    ahead = now() + timedelta(days=60)
    assert await database.pool.fetchval("SELECT to_regclass($1) IS NOT NULL", f"audit_events_{ahead:%Y_%m}")


async def test_a_month_is_dropped_once_it_has_ended_and_not_before(api: Api) -> None:
    database = api.runtime.database
    await database.pool.execute(
        "SELECT seatwise_audit_partitions($1, $2)", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 3, 1, tzinfo=UTC)
    )
    march = datetime(2020, 3, 1, tzinfo=UTC)
    assert await drop_months(database, march - timedelta(seconds=1)) == ["audit_events_2020_01"]
    assert await drop_months(database, march) == ["audit_events_2020_02"]
    assert await drop_months(database, march + timedelta(days=31)) == ["audit_events_2020_03"]
