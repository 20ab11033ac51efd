"""Drafts: made, listed, changed."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.api.instances import PINGONE_OPTIONS, make, make_credential
from tests.conftest import Api


async def test_a_new_instance_is_a_draft_with_every_default(api: Api) -> None:
    answer = await api.post("/v1/instances", json={"name": "Acme Okta", "connector": "okta"})
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["Location"] == f"/v1/instances/{made['id']}"
    assert made["sync"] == {
        "scope": "users_and_accounts", "preference": "create_and_update", "deactivate": True,
        "deactivation_limit_percent": 20, "lookback_days": 90, "detection": "label", "detect_unmanaged": False,
        "absence_scans": 1, "role": None, "username_format": "email", "restrict_access": False, "filters": [],
    }  # fmt: skip
    assert made["schedule"] == {"every": "24h"}
    assert (made["status"], made["next_sync_at"], made["owner"]) == ("draft", None, "saas-integration@localhost")
    assert (made["credential_id"], made["environment"], made["contacts"], made["options"]) == (None, None, [], {})
    assert made["created_by"]["name"] == "an admin"
    mapping = (await api.get(f"/v1/instances/{made['id']}/mapping")).json()["items"]
    assert {
        "source": "email",
        "target": "email",
        "transform": None,
        "on": "create_and_update",
        "default": None,
    } in mapping
    read = await api.get(f"/v1/instances/{made['id']}")
    assert (read.json(), read.headers["ETag"]) == (made, answer.headers["ETag"])
    event = (await api.get(f"/v1/audit-events?resource_id={made['id']}")).json()["items"][0]
    assert (event["action"], event["before"], event["after"]["name"]) == ("instance.created", None, "Acme Okta")


async def test_what_is_sent_lies_over_the_defaults(api: Api) -> None:
    made = await make(
        api,
        environment="staging",
        sync={"lookback_days": 30, "filters": [{"field": "status", "op": "eq", "value": "ACTIVE"}], "scope": None},
        schedule={"cron": "30 2 * * *"},
        contacts=["it@example.com"],
        owner="owner@example.com",
    )
    assert (made["sync"]["lookback_days"], made["sync"]["scope"]) == (30, "users_and_accounts")
    assert made["sync"]["filters"] == [{"field": "status", "op": "eq", "value": "ACTIVE"}]
    assert made["schedule"] == {"cron": "30 2 * * *", "timezone": "UTC"}
    assert (made["environment"], made["contacts"], made["owner"]) == (
        "staging",
        ["it@example.com"],
        "owner@example.com",
    )
    by_hand = await make(api, schedule=None)
    assert by_hand["schedule"] is None


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"name": None}, ["#/name"]),
        ({"name": " x"}, ["#/name"]),
        ({"connector": "slack"}, ["#/connector"]),
        ({"environment": "prod"}, ["#/environment"]),
        ({"status": "live"}, ["#/status"]),
        ({"colour": "red"}, ["#/colour"]),
        ({"credential_id": str(uuid4())}, ["#/credential_id"]),
        ({"options": {"sso_url": "acme", "region": "eu"}}, ["#/options/sso_url", "#/options/region"]),
        ({"options": {"api_url": "http://10.0.0.1"}}, ["#/options/api_url"]),
        ({"sync": {"lookback_days": 0}}, ["#/sync/lookback_days"]),
        ({"sync": {"deactivate": "yes"}}, ["#/sync/deactivate"]),
        ({"sync": {"lookback": 9}}, ["#/sync/lookback"]),
        ({"sync": {"filters": [{"field": "salary", "op": "eq", "value": 1}]}}, ["#/sync/filters/0/field"]),
        ({"sync": {"filters": [{"field": "status", "op": "like", "value": "x"}]}}, ["#/sync/filters/0/op"]),
        ({"sync": {"filters": [{"field": "status", "op": "is_null", "value": "x"}]}}, ["#/sync/filters/0/value"]),
        ({"schedule": {"every": "32d"}}, ["#/schedule/every"]),
        ({"schedule": {"cron": "0 0 30 2 *"}}, ["#/schedule/cron"]),
        ({"schedule": {"cron": "0 2 * * *", "timezone": "Mars/Base"}}, ["#/schedule/timezone"]),
        ({"schedule": {"every": "24h", "cron": "0 2 * * *"}}, ["#/schedule"]),
        ({"schedule": {}}, ["#/schedule"]),
        ({"contacts": ["nobody"]}, ["#/contacts/0"]),
    ],
)
async def test_bad_fields_are_each_named(api: Api, members: dict[str, Any], pointers: list[str]) -> None:
    answer = await api.post("/v1/instances", json={"name": f"Bad {uuid4()}", "connector": "okta", **members})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


async def test_a_credential_of_another_connector_is_refused(api: Api) -> None:
    credential = await make_credential(api)
    answer = await api.post(
        "/v1/instances", json={"name": "Mixed", "connector": "pingone", "credential_id": credential}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/credential_id")


async def test_a_name_belongs_to_one_instance(api: Api) -> None:
    made = await make(api)
    twin = await api.post("/v1/instances", json={"name": made["name"], "connector": "okta"})
    assert (twin.status_code, twin.json()["errors"][0]["pointer"]) == (409, "#/name")
    other = await make(api)
    assert (await api.patch(f"/v1/instances/{other['id']}", json={"name": made["name"]})).status_code == 409
    assert (await api.patch(f"/v1/instances/{made['id']}", json={"name": made["name"]})).status_code == 200


async def test_only_admins_make_instances(api: Api) -> None:
    operator = await api.as_role("operator")
    assert (await operator.post("/v1/instances", json={"name": "No", "connector": "okta"})).status_code == 403
    made = await make(api)
    assert (await operator.post(f"/v1/instances/{made['id']}/launch")).status_code == 403
    assert (await operator.patch(f"/v1/instances/{made['id']}", json={"name": "No"})).status_code == 403
    viewer = await api.as_role("viewer")
    assert (await viewer.get(f"/v1/instances/{made['id']}")).status_code == 200
    assert (await viewer.post(f"/v1/instances/{made['id']}/check")).status_code == 403
    assert (await viewer.post(f"/v1/instances/{made['id']}/syncs")).status_code == 403


async def test_instances_are_filtered_and_sorted(api: Api) -> None:
    for name, members in (
        ("zz-Beta", {"environment": "development"}),
        ("zz-alpha", {"connector": "pingone", "options": PINGONE_OPTIONS}),
        ("zz_gamma", {}),
    ):
        await make(api, name=name, **members)

    async def names(query: str) -> list[str]:
        return [item["name"] for item in (await api.get(f"/v1/instances?{query}")).json()["items"]]

    assert await names("q=ZZ-&sort=name") == ["zz-alpha", "zz-Beta"]
    assert await names("q=zz") == ["zz_gamma", "zz-alpha", "zz-Beta"]
    assert await names("q=zz_") == ["zz_gamma"]
    assert await names("q=zz&connector=pingone") == ["zz-alpha"]
    assert await names("q=zz&environment=development&status=draft") == ["zz-Beta"]
    assert await names("q=zz&status=live") == []


async def test_a_patch_merges(api: Api) -> None:
    made = await make(api, schedule={"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, environment="production")
    path = f"/v1/instances/{made['id']}"

    async def patched(body: dict[str, Any]) -> dict[str, Any]:
        answer = await api.patch(path, json=body, headers={"Content-Type": "application/merge-patch+json"})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    assert (await patched({"options": {"include_own_applications": True}}))["options"] == {
        "sso_url": "https://acme.okta.com", "include_own_applications": True,
    }  # fmt: skip
    assert (await patched({"options": {"include_own_applications": None}}))["options"] == made["options"]
    changed = await patched({"sync": {"absence_scans": 3, "role": "employee"}})
    assert (changed["sync"]["absence_scans"], changed["sync"]["role"], changed["sync"]["scope"]) == (
        3, "employee", "users_and_accounts",
    )  # fmt: skip
    assert (await patched({"sync": {"absence_scans": None}}))["sync"]["absence_scans"] == 1
    assert (await patched({"schedule": {"cron": "0 4 * * *"}}))["schedule"] == {
        "cron": "0 4 * * *", "timezone": "Europe/Berlin",
    }  # fmt: skip
    assert (await patched({"schedule": {"every": "6h"}}))["schedule"] == {"every": "6h"}
    assert (await patched({"schedule": None}))["schedule"] is None
    assert (await patched({"environment": None, "owner": None}))["environment"] is None
    last = await patched({"name": f"Renamed {uuid4()}"})
    assert last["updated_at"] > made["updated_at"]
    assert (last["connector"], last["contacts"]) == ("okta", [])


@pytest.mark.parametrize("member", ["connector", "id", "next_sync_at", "launched_at", "held_plan_id", "created_by"])
async def test_read_only_members_are_refused(api: Api, member: str) -> None:
    made = await make(api)
    answer = await api.patch(f"/v1/instances/{made['id']}", json={member: None})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"#/{member}")


async def test_a_stale_if_match_changes_nothing(api: Api) -> None:
    made = await make(api)
    path = f"/v1/instances/{made['id']}"
    tag = (await api.get(path)).headers["ETag"]
    assert (await api.patch(path, json={"environment": "staging"}, headers={"If-Match": tag})).status_code == 200
    again = await api.patch(path, json={"environment": "production"}, headers={"If-Match": tag})
    assert (again.status_code, (await api.get(path)).json()["environment"]) == (412, "staging")
