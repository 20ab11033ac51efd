"""The figures that somebody is woken up by."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api import gauges
from app.api.gauges import FIGURES
from tests.api.instances import make, make_live
from tests.conftest import Api


async def figures(api: Api) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await api.anonymous().get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_what_waits_and_how_old_the_data_is(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "FRESH_S", -1)
    live = await make_live(api)
    database = api.runtime.database
    await database.pool.execute(
        "UPDATE syncs SET status = 'failed', started_at = now(), finished_at = now(), throttled_seconds = 7,"
        """ failure = '{"code": "vendor_busy"}' WHERE instance_id = $1""",
        live["id"],
    )
    await database.pool.execute(
        "UPDATE instances SET launched_at = now() - interval '2 days' WHERE id = $1", live["id"]
    )
    await database.pool.execute(
        "INSERT INTO webhooks (name, url, auth, sealed, sealed_signing, max_message_bytes, link_ttl_seconds,"
        " max_concurrency) VALUES ('w', 'https://example.com', '{}', '', '', 1024, 60, 1)"
    )
    await database.pool.execute(
        "INSERT INTO deliveries (webhook_id, message_id, event, created_at)"
        " SELECT id, id, 'sync.failed', now() - interval '90 s' FROM webhooks"
    )
    seen = await figures(api)
    await database.pool.execute("DELETE FROM webhooks")
    mine = (("connector", "okta"), ("instance_id", live["id"]))
    assert 2 * 86400 <= seen["seatwise_instance_sync_age_seconds", mine] < 2 * 86400 + 60
    failed = (("code", "vendor_busy"), ("connector", "okta"), ("status", "failed"))
    assert seen["seatwise_syncs_last_day", failed] == 1
    assert seen["seatwise_vendor_throttled_seconds_last_day", (("connector", "okta"),)] == 7
    assert seen["seatwise_deliveries_pending", ()] == 1
    assert 90 <= seen["seatwise_deliveries_oldest_seconds", ()] < 120
    assert seen["seatwise_jobs", (("job", "sync"), ("status", "queued"))] == 1
    assert seen["seatwise_database_connections", (("pool", "books"), ("state", "most"))] == 5


async def test_every_figure_is_told_even_of_an_empty_service(api: Api) -> None:
    text = (await api.anonymous().get("/metrics")).text
    assert [each.name for each in FIGURES if f"# HELP {each.name} " not in text] == []


async def test_many_scrapes_ask_the_database_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "FRESH_S", 3600)
    draft = (("reason", ""), ("status", "draft"))
    before = (await figures(api)).get(("seatwise_instances", draft), 0)
    await make(api)
    assert (await figures(api)).get(("seatwise_instances", draft), 0) == before
    monkeypatch.setattr(gauges, "FRESH_S", -1)
    assert (await figures(api))["seatwise_instances", draft] == before + 1


async def test_figures_of_a_database_that_is_away_tell_how_old_they_are(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "FRESH_S", -1)
    assert (await figures(api))["seatwise_figures_age_seconds", ()] < 5
    known = api.app.state.metrics.gauges
    monkeypatch.setattr(known, "_answered_at", known._answered_at - 90)
    await api.runtime.database.pool.execute("ALTER TABLE ticks RENAME TO ticks_elsewhere")
    stale = await figures(api)
    await api.runtime.database.pool.execute("ALTER TABLE ticks_elsewhere RENAME TO ticks")
    assert stale["seatwise_figures_age_seconds", ()] >= 90
    assert stale["seatwise_last_tick_seconds", ()] >= 0
    assert (await figures(api))["seatwise_figures_age_seconds", ()] < 5
