"""The life of an instance is told as it happens, with what was changed, or not at all."""

from __future__ import annotations

from tests.api.conftest import vendor
from tests.api.instances import GOOD, Vendor, make, make_live
from tests.api.problems import assert_problem
from tests.conftest import Api

__all__ = ["vendor"]


async def events(api: Api, instance_id: str) -> list[tuple[str, str | None]]:
    rows = await api.runtime.database.pool.fetch(
        "SELECT type, data ->> 'reason' AS reason, data ->> 'instance' AS name FROM events"
        " WHERE data ->> 'instance_id' = $1 ORDER BY id",
        instance_id,
    )
    assert all(row["name"].startswith("Okta") for row in rows)
    return [(row["type"], row["reason"]) for row in rows]


async def test_launched_stopped_and_started_again(api: Api, vendor: Vendor) -> None:
    live = await make_live(api)
    path = f"/v1/instances/{live['id']}"
    assert await events(api, live["id"]) == [("instance.launched", None)]
    for _ in range(2):
        await api.patch(path, json={"status": "inactive"})
    assert await events(api, live["id"]) == [("instance.launched", None), ("instance.inactivated", "user")]
    vendor(GOOD)
    assert (await api.patch(path, json={"status": "live"})).status_code == 200
    assert (await events(api, live["id"]))[2:] == [("instance.reactivated", None)]


async def test_a_launch_that_is_refused_is_not_told(api: Api) -> None:
    draft = await make(api)
    assert_problem(await api.post(f"/v1/instances/{draft['id']}/launch"), 409)
    assert await events(api, draft["id"]) == []
