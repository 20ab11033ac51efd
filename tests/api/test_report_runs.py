from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import UUID, uuid4

from app.core.ids import new_id
from app.reports.run import run_report
from tests.api.books import Books
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.reports.answering import many_seats, of, seats

MEMBERS = {
    "id", "created_at", "updated_at", "report_id", "status", "trigger", "scheduled_for", "as_of", "window", "columns",
    "total_rows", "digest", "covered_until", "started_at", "finished_at", "erased_at", "failure", "outputs",
}  # fmt: skip


async def saved(api: Api, names: list[str] | None = None, **members: Any) -> str:
    """The path of a report over its own application."""
    application = await seats(Books(api.runtime.database), ["Ada", "Eve"] if names is None else names)
    body = {
        "name": f"R {uuid4()}", "dataset": "accounts", "columns": ["name", "days_active"], "sort": ["name"],
        "filters": of(application), **members,
    }  # fmt: skip
    answer = await api.post("/v1/reports", json=body)
    assert answer.status_code == 201, answer.text
    return f"/v1/reports/{answer.json()['id']}"


async def answered(api: Api, report: str) -> dict[str, Any]:
    """A run, as its path shows it once a worker has done it."""
    run = (await api.post(f"{report}/runs")).json()
    await run_report(api.runtime, UUID(run["id"]), asyncio.Event())
    content: dict[str, Any] = (await api.get(f"/v1/report-runs/{run['id']}")).json()
    return content


async def test_a_run_is_asked_for_and_answered(api: Api) -> None:
    report = await saved(api)
    asked = await (await api.as_role("operator")).post(f"{report}/runs")
    assert asked.status_code == 202
    run = asked.json()
    path = f"/v1/report-runs/{run['id']}"
    assert asked.headers["Location"] == path
    assert set(run) == MEMBERS
    assert (run["status"], run["trigger"], run["scheduled_for"]) == ("queued", "manual", None)
    assert [run[name] for name in ("as_of", "window", "total_rows", "digest", "failure")] == [None] * 5
    assert (run["columns"], run["outputs"]) == ([], [])
    assert_problem(await api.get(f"{path}/rows"), 409)
    assert_problem(await api.get(f"{path}/rows?format=csv"), 409)
    await run_report(api.runtime, UUID(run["id"]), asyncio.Event())
    viewer = await api.as_role("viewer")
    read = await viewer.get(path)
    done = read.json()
    assert (done["status"], done["total_rows"]) == ("succeeded", 2)
    assert done["columns"] == ["name", "days_active", "covered_days"]
    assert set(done["window"]) == {"from", "to"}
    assert done["as_of"] is not None
    assert done["covered_until"] is not None
    assert (await viewer.get(path, headers={"If-None-Match": read.headers["ETag"]})).status_code == 304
    rows = (await viewer.get(f"{path}/rows?count=true")).json()
    items = [{"name": name, "days_active": 0, "covered_days": 30} for name in ("Ada", "Eve")]
    assert rows == {"items": items, "next_cursor": None, "total": 2}
    (event,) = (await api.get(f"/v1/audit-events?resource_id={run['id']}")).json()["items"]
    assert event["action"] == "report_run.created"


async def test_only_operators_run_reports(api: Api) -> None:
    report = await saved(api)
    assert_problem(await (await api.as_role("viewer")).post(f"{report}/runs"), 403)
    assert_problem(await api.anonymous().post(f"{report}/runs"), 401)


async def test_an_idempotent_request_makes_one_run(api: Api) -> None:
    report = await saved(api)
    first, second = [await api.post(f"{report}/runs", headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert len((await api.get(f"{report}/runs")).json()["items"]) == 1


async def test_what_does_not_exist_is_not_found(api: Api) -> None:
    for path in (f"/v1/report-runs/{uuid4()}", f"/v1/report-runs/{uuid4()}/rows", f"/v1/reports/{uuid4()}/runs"):
        assert_problem(await api.get(path), 404)
    assert_problem(await api.post(f"/v1/reports/{uuid4()}/runs"), 404)


async def test_runs_are_listed_newest_first(api: Api) -> None:
    report = await saved(api)
    old = await answered(api, report)
    new = (await api.post(f"{report}/runs")).json()
    await answered(api, await saved(api))
    page = (await api.get(f"{report}/runs?limit=1&count=true")).json()
    assert ([run["id"] for run in page["items"]], page["total"]) == ([new["id"]], 2)
    rest = (await api.get(f"{report}/runs?limit=1&cursor={page['next_cursor']}")).json()
    assert (rest["items"], rest["next_cursor"]) == ([old], None)
    assert [run["id"] for run in (await api.get(f"{report}/runs?status=succeeded")).json()["items"]] == [old["id"]]
    assert_problem(await api.get(f"{report}/runs?status=done"), 422)


async def test_rows_are_paged_in_both_directions(api: Api) -> None:
    application = await many_seats(Books(api.runtime.database), 1203)
    report = await saved(api, filters=of(application), columns=["email"], sort=["email"])
    path = f"/v1/report-runs/{(await answered(api, report))['id']}/rows"
    for sort in ("number", "-number"):
        found: list[str] = []
        cursor = ""
        while True:
            page = await api.get(f"{path}?limit=200&sort={sort}{cursor}")
            found += [row["email"] for row in page.json()["items"]]
            if page.json()["next_cursor"] is None:
                break
            assert 'rel="next"' in page.headers["Link"]
            cursor = f"&cursor={page.json()['next_cursor']}"
        assert len(found) == 1203
        assert found == sorted(found, reverse=sort.startswith("-"))
    assert_problem(await api.get(f"{path}?limit=201"), 422)
    assert_problem(await api.get(f"{path}?limit=10{cursor}"), 400)


async def test_a_run_is_downloaded_as_a_file(api: Api) -> None:
    report = await saved(api, ["=1+1", "Ada"], name=f"Größe {new_id()}")
    run = await answered(api, report)
    path = f"/v1/report-runs/{run['id']}/rows?format="
    types = {
        "json": "application/json",
        "ndjson": "application/x-ndjson",
        "csv": "text/csv; charset=utf-8; header=present",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
    files = {format_: await api.get(path + format_) for format_ in types}
    for format_, file in files.items():
        assert file.status_code == 200
        assert file.headers["content-type"] == types[format_]
        assert file.headers["etag"] == f'"{run["digest"]}"'
        assert f".{format_}\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe" in file.headers["content-disposition"]
        assert int(file.headers.get("content-length", len(file.content))) == len(file.content)
        cached = await api.get(path + format_, headers={"If-None-Match": file.headers["etag"]})
        assert (cached.status_code, cached.content) == (304, b"")
    assert run["digest"] == f"sha256:{hashlib.sha256(files['ndjson'].content).hexdigest()}"
    assert files["json"].json() == (await api.get(f"/v1/report-runs/{run['id']}/rows")).json()["items"]
    assert files["csv"].text.splitlines()[:2] == ["name,days_active,covered_days", "'=1+1,0,30"]


async def test_a_file_has_no_pages(api: Api) -> None:
    run = await answered(api, await saved(api))
    path = f"/v1/report-runs/{run['id']}/rows"
    problem = assert_problem(await api.get(f"{path}?format=csv&limit=10"), 422)
    assert problem["errors"][0]["parameter"] == "limit"
    assert_problem(await api.get(f"{path}?format=pdf"), 422)


async def test_a_workbook_has_room_for_so_many_rows(api: Api) -> None:
    run = await answered(api, await saved(api))
    await api.runtime.database.pool.execute(
        "UPDATE report_runs SET total_rows = 1048576 WHERE id = $1", UUID(run["id"])
    )
    problem = assert_problem(await api.get(f"/v1/report-runs/{run['id']}/rows?format=xlsx"), 422)
    assert "csv" in problem["errors"][0]["detail"]


async def test_a_run_that_failed_says_why(api: Api) -> None:
    report = await saved(api)
    await api.runtime.database.pool.execute(
        "UPDATE reports SET columns = '{fields.gone}' WHERE id = $1", UUID(report.rpartition("/")[2])
    )
    run = await answered(api, report)
    assert (run["status"], run["failure"]["code"]) == ("failed", "invalid_definition")
    assert "fields.gone" in assert_problem(await api.get(f"/v1/report-runs/{run['id']}/rows"), 409)["detail"]


async def test_outputs_are_told_with_the_run(api: Api) -> None:
    report = await saved(api, outputs=[{"type": "email", "to": ["ada@example.com"]}])
    run = await answered(api, report)
    (output,) = run["outputs"]
    assert (output["type"], output["to"], output["status"]) == ("email", ["ada@example.com"], "pending")


async def test_a_report_goes_with_its_runs(api: Api) -> None:
    report = await saved(api)
    run = await answered(api, report)
    assert (await api.delete(report)).status_code == 204
    assert_problem(await api.get(f"/v1/report-runs/{run['id']}"), 404)
    assert_problem(await api.get(f"/v1/report-runs/{run['id']}/rows?format=csv"), 404)
