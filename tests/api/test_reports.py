from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.api.accounts import AccountAnswer
from app.api.applications import ApplicationAnswer
from app.api.people import PersonAnswer
from app.api.resources import Resource
from tests.api.books import Books, days_ago
from tests.api.problems import assert_problem
from tests.conftest import Api

REPORT = {
    "dataset": "accounts",
    "columns": ["name", "email", "application", "days_active", "last_active_at"],
    "window": "30d",
    "filters": [{"field": "usage", "op": "eq", "value": "unused"}],
    "sort": ["name"],
}
MEMBERS = {
    "id", "created_at", "updated_at", "name", "dataset", "columns", "window", "filters", "sort", "schedule", "outputs",
    "next_run_at", "created_by",
}  # fmt: skip


async def made(api: Api, **members: Any) -> dict[str, Any]:
    answer = await api.post("/v1/reports", json={"name": f"Unused {uuid4()}", **REPORT, **members})
    assert answer.status_code == 201, answer.text
    content: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/reports/{content['id']}"
    return content


async def webhook(api: Api) -> str:
    """A webhook's row; what it does is no matter here."""
    webhook_id = uuid4()
    await api.runtime.database.pool.execute(
        "INSERT INTO webhooks (id, name, url, auth, sealed, sealed_signing, max_message_bytes, link_ttl_seconds,"
        " max_concurrency) VALUES ($1, $2, 'https://example.com', '{}', '', '', 1000, 60, 1)",
        webhook_id, str(webhook_id),
    )  # fmt: skip
    return str(webhook_id)


async def pointers(api: Api, **members: Any) -> list[str]:
    """What a report with these members is refused for; the preview refuses it for the same."""
    body = {"name": f"R {uuid4()}", **REPORT, **members}
    problem = assert_problem(await api.post("/v1/reports", json=body), 422)
    found = [error["pointer"] for error in problem["errors"]]
    if not {"outputs", "schedule", "name"} & set(members):
        again = assert_problem(await api.post("/v1/reports/preview", json=body), 422)
        assert [error["pointer"] for error in again["errors"]] == found
    return found


async def test_a_report_is_saved_read_changed_and_deleted(api: Api) -> None:
    report = await made(api, name="Unused Okta seats")
    assert set(report) == MEMBERS
    assert {name: report[name] for name in REPORT} == REPORT
    assert (report["schedule"], report["next_run_at"], report["outputs"]) == (None, None, [])
    path = f"/v1/reports/{report['id']}"
    read = await (await api.as_role("viewer")).get(path)
    assert read.json() == report
    assert (await api.get(path, headers={"If-None-Match": read.headers["ETag"]})).status_code == 304
    changed = await api.patch(path, json={"window": "90d"}, headers={"If-Match": read.headers["ETag"]})
    assert (changed.status_code, changed.json()["window"], changed.json()["name"]) == (200, "90d", "Unused Okta seats")
    assert_problem(await api.patch(path, json={"window": "9d"}, headers={"If-Match": read.headers["ETag"]}), 412)
    assert_problem(await api.delete(path, headers={"If-Match": read.headers["ETag"]}), 412)
    assert (await api.delete(path)).status_code == 204
    assert_problem(await api.get(path), 404)
    assert_problem(await api.patch(path, json={"window": "9d"}), 404)
    events = (await api.get(f"/v1/audit-events?resource_id={report['id']}")).json()["items"]
    assert [event["action"] for event in events] == ["report.deleted", "report.updated", "report.created"]
    assert (events[1]["before"], events[1]["after"]) == ({"window": "30d"}, {"window": "90d"})


async def test_a_report_has_defaults(api: Api) -> None:
    answer = await api.post("/v1/reports", json={"name": "Bare", "dataset": "people", "columns": ["name"]})
    bare = answer.json()
    assert (bare["window"], bare["filters"], bare["sort"], bare["schedule"]) == ("30d", [], [], None)
    email = {"type": "email", "to": ["a@example.com"]}
    sent = (await made(api, outputs=[email]))["outputs"]
    assert sent == [{**email, "format": "csv", "max_attachment_bytes": 5 * 1024 * 1024}]


async def test_names_are_unique(api: Api) -> None:
    await made(api, name="Twice")
    other = await made(api, name="Once")
    problem = assert_problem(await api.post("/v1/reports", json={"name": "Twice", **REPORT}), 409)
    assert problem["errors"][0]["pointer"] == "#/name"
    assert_problem(await api.patch(f"/v1/reports/{other['id']}", json={"name": "Twice"}), 409)
    assert (await api.patch(f"/v1/reports/{other['id']}", json={"name": "Once"})).status_code == 200


async def test_only_admins_write_reports_and_viewers_look(api: Api) -> None:
    path = f"/v1/reports/{(await made(api))['id']}"
    operator, viewer = await api.as_role("operator"), await api.as_role("viewer")
    assert_problem(await operator.post("/v1/reports", json={"name": "No", **REPORT}), 403)
    assert_problem(await operator.patch(path, json={"window": "9d"}), 403)
    assert_problem(await operator.delete(path), 403)
    assert (await viewer.post("/v1/reports/preview", json=REPORT)).status_code == 200
    assert (await viewer.get("/v1/reports/columns?dataset=people")).status_code == 200


async def test_reports_are_listed(api: Api) -> None:
    first, second = await made(api, name="zz one"), await made(api, name="ZZ a")
    newest = (await api.get("/v1/reports?q=zz&count=true")).json()
    assert [item["id"] for item in newest["items"]] == [second["id"], first["id"]]
    assert newest["total"] == 2
    page = (await api.get("/v1/reports?q=Zz&sort=name&limit=1")).json()
    assert page["items"][0]["name"] == "ZZ a"
    rest = (await api.get(f"/v1/reports?q=Zz&sort=name&limit=1&cursor={page['next_cursor']}")).json()
    assert (rest["items"][0]["name"], rest["next_cursor"]) == ("zz one", None)


async def test_a_schedule_tells_the_next_run(api: Api) -> None:
    schedule = {"cron": "0 7 * * 1", "timezone": "America/New_York"}
    report = await made(api, schedule=schedule)
    path = f"/v1/reports/{report['id']}"
    assert report["schedule"] == schedule
    assert report["next_run_at"].endswith(("T11:00:00Z", "T12:00:00Z"))
    renamed = (await api.patch(path, json={"name": "Renamed"})).json()
    assert renamed["next_run_at"] == report["next_run_at"]
    patched = (await api.patch(path, json={"schedule": {"cron": "30 7 * * *"}})).json()
    assert patched["schedule"] == {"cron": "30 7 * * *", "timezone": "America/New_York"}
    assert ":30:00Z" in patched["next_run_at"]
    stopped = (await api.patch(path, json={"schedule": None})).json()
    assert (stopped["schedule"], stopped["next_run_at"]) == (None, None)
    assert await pointers(api, schedule={"cron": "every day", "timezone": "UTC"}) == ["#/schedule/cron"]
    assert await pointers(api, schedule={"every": "1s"}) == ["#/schedule/every"]


async def test_a_fixed_window_is_patched_by_its_members(api: Api) -> None:
    report = await made(api, window={"from": "2026-01-01", "to": "2026-03-31"})
    path = f"/v1/reports/{report['id']}"
    assert report["window"] == {"from": "2026-01-01", "to": "2026-03-31"}
    patched = (await api.patch(path, json={"window": {"to": "2026-06-30"}})).json()
    assert patched["window"] == {"from": "2026-01-01", "to": "2026-06-30"}
    assert_problem(await api.patch(path, json={"window": {"to": "2025-06-30"}}), 422)


@pytest.mark.parametrize(
    "window",
    ["0d", "401d", "030d", "30", "", "30d\n", "١d", None, 30, [], {}, {"from": "2026-01-01"},
     {"from": "2026-01-01", "to": "2026-02-30"}, {"from": "x", "to": "y"}, {"from": 1, "to": 2},
     {"from": "2026-01-01", "to": "2026-02-01", "zone": "UTC"}],
)  # fmt: skip
async def test_windows_that_are_none(api: Api, window: Any) -> None:
    assert await pointers(api, window=window) == ["#/window"]


@pytest.mark.parametrize(
    ("first", "last"), [("2026-02-01", "2026-01-31"), ("2025-01-01", "2026-02-05"), ("1969-12-31", "1970-01-05")]
)
async def test_windows_that_are_too_long_or_upside_down(api: Api, first: str, last: str) -> None:
    assert await pointers(api, window={"from": first, "to": last}) == ["#/window/from"]


async def test_the_longest_window_is_taken(api: Api) -> None:
    assert (await made(api, window={"from": "2025-01-01", "to": "2026-02-04"}))["id"]
    assert (await made(api, window="400d"))["id"]


async def test_bad_columns_are_told_by_their_place(api: Api) -> None:
    columns = [
        "name",
        "nmae",
        "days_active:401d",
        "name",
        "fields.none",
        "metadata.",
        "usage:",
        "covered_until:3d",
        "Name",
    ]
    assert await pointers(api, columns=columns) == [f"#/columns/{n}" for n in range(1, 9)]
    assert await pointers(api, columns=[]) == ["#/columns"]
    assert await pointers(api, columns=[f"metadata.{n}" for n in range(101)]) == ["#/columns"]
    assert await pointers(api, columns=["name", 5]) == ["#/columns/1"]
    assert await pointers(api, dataset="applications", columns=["days_active", "metadata.x"], filters=[], sort=[]) == [
        "#/columns/0",
        "#/columns/1",
    ]
    assert await pointers(api, sort=["name", "-nope", "-name"]) == ["#/sort/1", "#/sort/2"]
    assert await pointers(api, dataset="robots") == ["#/dataset"]


@pytest.mark.parametrize(
    ("field", "op", "value", "member"),
    [
        ("nope", "eq", "x", "field"),
        ("name'; DROP TABLE accounts; --", "eq", "x", "field"),
        ("fields.nope", "eq", "x", "field"),
        ("name", "like", "x", "op"),
        ("days_active", "contains", 1, "op"),
        ("last_active_at", "starts_with", "2026", "op"),
        ("metadata.mfa_enabled", "gt", True, "op"),
        ("name", "eq", 5, "value"),
        ("name", "eq", ["x"], "value"),
        ("name", "in", "x", "value"),
        ("name", "in", [], "value"),
        ("name", "contains", "", "value"),
        ("name", "is_null", "yes", "value"),
        ("days_active", "eq", "many", "value"),
        ("days_active", "in", [1, True], "value"),
        ("last_active_at", "gt", "yesterday", "value"),
        ("metadata.mfa_enabled", "eq", "true", "value"),
        ("usage", "eq", "unsued", "value"),
        ("usage:90d", "in", ["used", "never"], "value"),
        ("seat", "ne", "free", "value"),
    ],
)
async def test_bad_filters_are_told_by_their_place(api: Api, field: str, op: str, value: Any, member: str) -> None:
    good = {"field": "name", "op": "is_null", "value": False}
    found = await pointers(api, filters=[good, {"field": field, "op": op, "value": value}])
    assert [place.rsplit("/", 1)[0] if "value/" in place else place for place in found] == [f"#/filters/1/{member}"]


async def test_a_filter_needs_its_members_and_there_are_at_most_fifty(api: Api) -> None:
    assert await pointers(api, filters=[{"field": "name"}]) == ["#/filters/0/op", "#/filters/0/value"]
    good = {"field": "name", "op": "is_null", "value": False}
    assert await pointers(api, filters=[good] * 51) == ["#/filters"]


async def test_outputs_are_checked(api: Api) -> None:
    known = await webhook(api)
    email = {"type": "email", "to": ["a@example.com"], "format": "xlsx", "max_attachment_bytes": 0}
    outputs = [{"type": "webhook", "webhook_id": known}, email]
    report = await made(api, outputs=outputs)
    assert report["outputs"] == outputs
    unknown = {"type": "webhook", "webhook_id": str(uuid4())}
    assert await pointers(api, outputs=[*outputs, unknown, outputs[0]]) == [
        "#/outputs/2/webhook_id",
        "#/outputs/3/webhook_id",
    ]
    for wrong, place in [
        ({"type": "fax"}, "#/outputs/0"),
        ("email", "#/outputs/0"),
        ({**email, "to": []}, "#/outputs/0/to"),
        ({**email, "to": ["nobody"]}, "#/outputs/0/to/0"),
        ({**email, "format": "pdf"}, "#/outputs/0/format"),
        ({**email, "max_attachment_bytes": -1}, "#/outputs/0/max_attachment_bytes"),
        ({**email, "webhook_id": known}, "#/outputs/0/webhook_id"),
        ({"type": "webhook", "webhook_id": "x"}, "#/outputs/0/webhook_id"),
    ]:
        assert await pointers(api, outputs=[wrong]) == [place]
    await api.runtime.database.pool.execute("DELETE FROM webhooks")
    path = f"/v1/reports/{report['id']}"
    assert (await api.patch(path, json={"window": "7d"})).status_code == 200, "what is not sent is not judged again"


async def test_a_change_is_judged_with_what_stays(api: Api) -> None:
    path = f"/v1/reports/{(await made(api))['id']}"
    problem = assert_problem(await api.patch(path, json={"dataset": "applications"}), 422)
    assert {error["pointer"] for error in problem["errors"]} == {
        "#/columns/1", "#/columns/2", "#/columns/3", "#/columns/4", "#/filters/0/field",
    }  # fmt: skip
    moved = {"dataset": "applications", "columns": ["name", "used"], "filters": [], "sort": ["-used"]}
    assert (await api.patch(path, json=moved)).status_code == 200
    for member in ("name", "columns", "filters", "sort", "dataset", "outputs"):
        assert_problem(await api.patch(path, json={member: None}), 422)
    assert_problem(await api.patch(path, json={"next_run_at": None}), 422)


async def test_columns_are_listed_with_what_can_be_asked_of_them(api: Api) -> None:
    await api.post("/v1/fields", json={"kind": "account", "key": "floor", "title": "Floor", "type": "number"})
    await api.post("/v1/fields", json={"kind": "person", "key": "team", "title": "Team", "type": "text"})
    items = (await api.get("/v1/reports/columns?dataset=accounts&limit=200")).json()["items"]
    by_key = {item["key"]: item for item in items}
    assert by_key["fields.floor"] == {
        "key": "fields.floor",
        "title": "Floor",
        "type": "number",
        "operators": ["eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "is_null"],
        "sortable": True,
    }
    assert by_key["metadata.mfa_enabled"]["type"] == "boolean"
    assert by_key["metadata.mfa_enabled"]["operators"] == ["eq", "ne", "in", "not_in", "is_null"]
    assert {"contains", "starts_with"} <= set(by_key["name"]["operators"])
    assert {"days_active:90d", "usage:30d", "covered_days", "isc_source_id", "bypasses_sso"} <= set(by_key)
    assert "fields.team" not in by_key
    everything = [*by_key]
    columns = everything[:100]
    looked = await api.post("/v1/reports/preview", json={"dataset": "accounts", "columns": columns})
    assert looked.status_code == 200, "whatever is listed can be asked for"
    assert set(columns) <= set(looked.json()["columns"])
    people = (await api.get("/v1/reports/columns?dataset=people&limit=200")).json()["items"]
    assert "fields.team" in {item["key"] for item in people}


@pytest.mark.parametrize(
    ("dataset", "listed", "otherwise"),
    [
        ("accounts", AccountAnswer, {"metadata", "fields", "bypass_evidence"}),
        ("people", PersonAnswer, {"fields"}),
        ("applications", ApplicationAnswer, {"labels", "seats"}),
    ],
)
async def test_every_field_of_the_books_is_a_column(
    api: Api, dataset: str, listed: type[Resource], otherwise: set[str]
) -> None:
    columns = (await api.get(f"/v1/reports/columns?dataset={dataset}&limit=200")).json()["items"]
    assert listed.model_fields.keys() - {"id", "window"} - otherwise <= {column["key"] for column in columns}
    keys = [column["key"] for column in columns if ":" not in column["key"]][:100]
    looked = await api.post("/v1/reports/preview", json={"dataset": dataset, "columns": keys, "sort": keys[-10:]})
    assert looked.status_code == 200, looked.text


async def test_the_list_of_columns_has_pages(api: Api) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api.get(f"/v1/reports/columns?dataset=applications&sort=-key&limit=7{cursor}")).json()
        seen += [item["key"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(seen, reverse=True)
    assert {"name", "total_cost", "currency"} <= set(seen)
    unnamed = (await api.get("/v1/reports/columns?limit=200")).json()
    assert unnamed == (await api.get("/v1/reports/columns?dataset=accounts&limit=200")).json()
    assert_problem(await api.get("/v1/reports/columns?dataset=robots"), 422)


async def test_a_preview_shows_fifty_rows_and_counts_all(api: Api) -> None:
    books = Books(api.runtime.database)
    instance = await books.instance("Previewed", covered=40)
    application = await books.application(instance, "Ledger")
    person = await books.person("Someone")
    for number in range(52):
        await books.account(application, f"user {number:03}", person_id=person)
    used = days_ago(3, 2, 1)
    await books.account(application, "user 000 b", used=sorted(used), person_id=person, email="Ada@Example.com")
    definition = {
        "dataset": "accounts",
        "columns": ["name", "usage", "days_active", "days_active:2d", "email", "last_active_at", "metadata.x"],
        "filters": [{"field": "instance", "op": "eq", "value": "PREVIEWED"}],
        "sort": ["name"],
    }
    before = await api.runtime.database.pool.fetchval("SELECT count(*) FROM reports")
    answer = (await api.post("/v1/reports/preview", json=definition)).json()
    assert set(answer) == {"columns", "rows", "total_rows"}
    assert answer["columns"] == [
        "name", "usage", "days_active", "covered_days", "days_active:2d", "covered_days:2d", "email", "last_active_at",
        "metadata.x",
    ]  # fmt: skip
    assert (len(answer["rows"]), answer["total_rows"]) == (50, 53)
    assert answer["rows"][1] == {
        "name": "user 000 b",
        "usage": "used",
        "days_active": 3,
        "covered_days": 30,
        "days_active:2d": 1,
        "covered_days:2d": 2,
        "email": "Ada@Example.com",
        "last_active_at": f"{max(used[0], used[-1])}T09:00:00Z",
        "metadata.x": None,
    }
    assert await api.runtime.database.pool.fetchval("SELECT count(*) FROM reports") == before


async def test_a_preview_that_takes_too_long_says_what_to_do(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.reports.preview.PATIENCE_S", 0.1)
    async with api.runtime.database.transaction() as connection:
        await connection.execute("LOCK TABLE accounts")
        problem = assert_problem(await api.post("/v1/reports/preview", json=REPORT), 422)
    assert "filter it more narrowly" in problem["errors"][0]["detail"]
    assert (await api.post("/v1/reports/preview", json=REPORT)).status_code == 200


async def test_outputs_that_are_changed_have_their_defaults_too(api: Api) -> None:
    made = (await api.post("/v1/reports", json={"name": "Mailed", "dataset": "people", "columns": ["name"]})).json()
    mail = {"type": "email", "to": ["it-ops@example.com"]}
    changed = await api.patch(f"/v1/reports/{made['id']}", json={"outputs": [mail]})
    assert changed.json()["outputs"] == [{**mail, "format": "csv", "max_attachment_bytes": 5 * 1024 * 1024}]
