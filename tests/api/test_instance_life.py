"""Launching, stopping, starting again, checking; the mapping."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from app.core.clock import now
from app.core.errors import VendorUnavailable
from tests.api.instances import FULL_ROW, GOOD, REFUSED, Vendor, finish_syncs, make, make_credential, make_live
from tests.conftest import Api


async def test_launch_lists_exactly_what_is_missing(api: Api) -> None:
    made = await make(api, name="Bare", connector="pingone", options={})
    await api.put(f"/v1/instances/{made['id']}/mapping", json={"items": []})
    answer = await api.post(f"/v1/instances/{made['id']}/launch")
    assert answer.status_code == 409
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == [
        "#/credential_id", "#/mapping/email", "#/mapping/name", "#/options/environment_id", "#/options/region",
    ]  # fmt: skip
    assert (await api.get(f"/v1/instances/{made['id']}")).json()["status"] == "draft"


async def test_options_of_the_credential_count_for_launch(api: Api) -> None:
    credential = await make_credential(api, options={"sso_url": "https://acme.okta.com"})
    made = await make(api, options={}, credential_id=credential)
    assert (await api.post(f"/v1/instances/{made['id']}/launch")).status_code == 202


async def test_launch_makes_it_live_and_starts_the_initial_sync(api: Api) -> None:
    made = await make(api, credential_id=await make_credential(api))
    answer = await api.post(f"/v1/instances/{made['id']}/launch")
    assert answer.status_code == 202
    sync = answer.json()
    assert answer.headers["Location"] == f"/v1/syncs/{sync['id']}"
    assert (sync["instance_id"], sync["status"], sync["trigger"]) == (made["id"], "queued", "launch")
    assert (await api.get(answer.headers["Location"])).json() == sync
    live = (await api.get(f"/v1/instances/{made['id']}")).json()
    assert (live["status"], live["last_sync_id"]) == ("live", sync["id"])
    assert datetime.fromisoformat(live["next_sync_at"]) > now()
    assert live["launched_at"] is not None
    assert (await api.post(f"/v1/instances/{made['id']}/launch")).status_code == 409


async def test_one_sync_at_a_time(api: Api) -> None:
    live = await make_live(api)
    path = f"/v1/instances/{live['id']}/syncs"
    operator = await api.as_role("operator")
    second = await operator.post(path)
    assert (second.status_code, second.json()["sync_id"]) == (409, live["last_sync_id"])
    await finish_syncs(api, live["id"])
    third = await operator.post(path)
    assert (third.status_code, third.json()["trigger"]) == (202, "manual")
    listed = (await operator.get(f"{path}?count=true")).json()
    assert [item["id"] for item in listed["items"]] == [third.json()["id"], live["last_sync_id"]]
    assert listed["total"] == 2
    cursor = (await operator.get(f"{path}?limit=1")).json()["next_cursor"]
    rest = (await operator.get(f"{path}?limit=1&cursor={cursor}")).json()
    assert [item["id"] for item in rest["items"]] == [live["last_sync_id"]]


async def test_a_draft_cannot_sync_stop_or_start(api: Api) -> None:
    made = await make(api)
    path = f"/v1/instances/{made['id']}"
    for answer in (
        await api.post(f"{path}/syncs"),
        await api.patch(path, json={"status": "live"}),
        await api.patch(path, json={"status": "inactive"}),
    ):
        assert answer.status_code == 409
        assert "aunch" in answer.json()["detail"]
    assert (await api.patch(path, json={"status": "draft"})).status_code == 422


async def test_stopping_keeps_the_data_marked_stale_and_starting_checks_and_syncs(api: Api, vendor: Vendor) -> None:
    live = await make_live(api)
    path = f"/v1/instances/{live['id']}"
    stopped = (await api.patch(path, json={"status": "inactive"})).json()
    assert (stopped["status"], stopped["inactive_reason"], stopped["next_sync_at"]) == ("inactive", "user", None)
    assert stopped["stale_since"] is not None
    assert (await api.get(f"/v1/syncs/{live['last_sync_id']}")).json()["status"] == "cancelled"
    assert (await api.post(f"{path}/syncs")).status_code == 409

    vendor(REFUSED)
    refused = await api.patch(path, json={"status": "live"})
    assert refused.status_code == 409
    assert "The token is invalid." in refused.json()["detail"]
    assert (await api.get(path)).json() == stopped

    asked = vendor(GOOD)
    started = (await api.patch(path, json={"status": "live", "options": {"include_own_applications": True}})).json()
    assert asked == [{"sso_url": "https://acme.okta.com", "include_own_applications": True}]
    assert (started["status"], started["inactive_reason"], started["inactive_detail"]) == ("live", None, None)
    assert started["stale_since"] == stopped["stale_since"]
    assert started["next_sync_at"] is not None
    sync = (await api.get(f"/v1/syncs/{started['last_sync_id']}")).json()
    assert (sync["trigger"], sync["status"]) == ("reactivate", "queued")
    assert (await api.patch(path, json={"status": "live"})).status_code == 200


async def test_check_tries_the_credential_with_the_instances_options(api: Api, vendor: Vendor) -> None:
    credential = await make_credential(
        api, options={"sso_url": "https://other.okta.com", "include_own_applications": True}
    )
    made = await make(api, credential_id=credential)
    asked = vendor(GOOD)
    answer = await (await api.as_role("operator")).post(f"/v1/instances/{made['id']}/check")
    assert answer.status_code == 200
    assert (answer.json()["ok"], answer.json()["identity"]) == (True, {"tenant": "acme.okta.com", "subject": "reader"})
    assert asked == [{"sso_url": "https://acme.okta.com", "include_own_applications": True}]
    vendor(VendorUnavailable("Nobody answers."))
    failed = await api.post(f"/v1/instances/{made['id']}/check")
    assert (failed.status_code, failed.json()["ok"], failed.json()["code"]) == (200, False, "vendor_unavailable")


async def test_check_without_a_credential_says_so(api: Api) -> None:
    made = await make(api)
    answer = await api.post(f"/v1/instances/{made['id']}/check")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "#/credential_id")


async def test_an_instance_that_is_being_deleted_takes_no_change(api: Api) -> None:
    made = await make(api)
    path = f"/v1/instances/{made['id']}"
    await api.runtime.database.pool.execute("UPDATE instances SET status = 'deleting' WHERE id = $1", made["id"])
    assert (await api.get(path)).json()["status"] == "deleting"
    for answer in (
        await api.patch(path, json={"environment": "staging"}),
        await api.patch(path, json={"status": "live"}),
        await api.patch(path, json={"status": "inactive"}),
        await api.put(f"{path}/mapping", json={"items": []}),
        await api.post(f"{path}/launch"),
        await api.post(f"{path}/syncs"),
    ):
        assert answer.status_code == 409


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"sync": {"lookback_days": 30}}, False),
        ({"sync": {"scope": "users"}}, False),
        ({"sync": {"filters": [{"field": "status", "op": "eq", "value": "ACTIVE"}]}}, False),
        ({"options": {"include_own_applications": True}}, False),
        ({"options": {"api_url": "https://proxy.example.com"}}, True),
        ({"sync": {"lookback_days": 90, "absence_scans": 2}}, True),
        ({"environment": "staging", "schedule": {"every": "1h"}}, True),
    ],
)
async def test_what_asks_for_another_reading_forgets_what_was_covered(
    api: Api, body: dict[str, Any], *, kept: bool
) -> None:
    made = await make(api)
    pool = api.runtime.database.pool
    await pool.execute(
        "UPDATE instances SET activity_cursor = 'there', covered_until = now() WHERE id = $1", made["id"]
    )
    await pool.execute("INSERT INTO coverage_years VALUES ($1, 2026, repeat('1', 366)::bit(366))", made["id"])
    assert (await api.patch(f"/v1/instances/{made['id']}", json=body)).status_code == 200
    row = await pool.fetchrow(
        "SELECT activity_cursor, covered_until, (SELECT count(*) FROM coverage_years WHERE instance_id = id) AS years"
        " FROM instances WHERE id = $1",
        made["id"],
    )  # fmt: skip
    assert row is not None
    assert (row["activity_cursor"] is not None, row["covered_until"] is not None, row["years"] == 1) == (
        kept,
        kept,
        kept,
    )


async def test_a_live_instance_stays_complete_and_its_next_fire_follows_the_schedule(api: Api) -> None:
    live = await make_live(api)
    path = f"/v1/instances/{live['id']}"
    assert (await api.patch(path, json={"options": {"sso_url": None}})).status_code == 409
    assert (await api.patch(path, json={"credential_id": None})).status_code == 409
    renamed = (await api.patch(path, json={"name": f"Renamed {uuid4()}"})).json()
    assert renamed["next_sync_at"] == live["next_sync_at"]
    assert (await api.patch(path, json={"schedule": None})).json()["next_sync_at"] is None
    soon = (await api.patch(path, json={"schedule": {"every": "1m"}})).json()["next_sync_at"]
    assert 0 < (datetime.fromisoformat(soon) - now()).total_seconds() <= 60


async def test_the_mapping_is_replaced_whole(api: Api) -> None:
    made = await make(api)
    path = f"/v1/instances/{made['id']}/mapping"
    before = await api.get(path)
    field = {"kind": "account", "key": "seen", "title": "Seen", "type": "datetime"}
    assert (await api.post("/v1/fields", json=field)).status_code == 201
    items = [
        {"source": "email", "target": "email", "transform": "lower"},
        {"source": "raw.profile.nick", "target": "name", "default": "?"},
        {"source": "connector.sync_time", "target": "account.seen", "on": "create_only"},
    ]
    answer = await api.put(path, json={"items": items}, headers={"If-Match": before.headers["ETag"]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"items": [{**FULL_ROW, **item} for item in items]}
    assert (await api.get(path)).json() == answer.json()
    assert (await api.put(path, json={"items": items}, headers={"If-Match": before.headers["ETag"]})).status_code == 412
    assert (await (await api.as_role("operator")).put(path, json={"items": items})).status_code == 403


@pytest.mark.parametrize(
    ("row", "member"),
    [
        ({"source": "shoe_size", "target": "title"}, "source"),
        ({"source": "email", "target": "mail"}, "target"),
        ({"source": "email", "target": "name"}, "target"),
        ({"source": "email", "target": "title", "transform": "rot13"}, "transform"),
        ({"source": "email", "target": "title", "on": "always"}, "on"),
        ({"source": "email", "target": "title", "default": {}}, "default"),
        ({"source": "email", "target": "title", "extra": 1}, "extra"),
    ],
)
async def test_bad_rows_of_a_mapping_are_named(api: Api, row: dict[str, Any], member: str) -> None:
    made = await make(api)
    items = [{"source": "email", "target": "email"}, {"source": "name", "target": "name"}, row]
    answer = await api.put(f"/v1/instances/{made['id']}/mapping", json={"items": items})
    assert answer.status_code == 422, answer.text
    assert {error["pointer"].split("/")[3] for error in answer.json()["errors"]} == {member}


async def test_a_live_instances_mapping_keeps_the_mandatory_targets(api: Api) -> None:
    live = await make_live(api)
    answer = await api.put(f"/v1/instances/{live['id']}/mapping", json={"items": []})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 2


async def test_what_does_not_exist_is_a_404(api: Api) -> None:
    path = f"/v1/instances/{uuid4()}"
    for answer in (
        await api.get(path),
        await api.patch(path, json={}),
        await api.patch(path, json={"status": "live"}),
        await api.get(f"{path}/mapping"),
        await api.put(f"{path}/mapping", json={"items": []}),
        await api.post(f"{path}/launch"),
        await api.post(f"{path}/check"),
        await api.post(f"{path}/syncs"),
        await api.get(f"{path}/syncs"),
    ):
        assert answer.status_code == 404


async def test_another_detection_joins_applications_at_once_and_waits_for_a_running_sync(api: Api) -> None:
    live = await make_live(api)
    path, change = f"/v1/instances/{live['id']}", {"sync": {"detection": "display_name"}}
    waiting = await api.patch(path, json=change)
    assert waiting.status_code == 409
    assert waiting.json()["sync_id"] == live["last_sync_id"]
    await finish_syncs(api, live["id"])
    for entry in ("e1", "e2"):
        await api.runtime.database.pool.execute(
            """
            WITH made AS (
                INSERT INTO applications (instance_id, key, kind, vendor_id, name, access)
                VALUES ($1, 'entry:' || $2::text, 'detected', $2, $2, 'assigned') RETURNING id
            )
            INSERT INTO application_entries (instance_id, vendor_id, application_id, label, definition, active, access)
            SELECT $1, $2, id, $2, 'desk', true, 'assigned' FROM made
            """,
            live["id"],
            entry,
        )
    assert (await api.patch(path, json=change)).status_code == 200
    listed = (await api.get(f"/v1/applications?instance_id={live['id']}")).json()["items"]
    assert [sorted(label["vendor_id"] for label in one["labels"]) for one in listed] == [["e1", "e2"]]
