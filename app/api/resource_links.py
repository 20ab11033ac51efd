"""Links of the API's description (OpenAPI 3.1 section 4.8.20): which operations the id of a created thing goes to."""

from __future__ import annotations

from typing import Any

# Long work is begun at one path and watched at another.
_WATCHED_AT = {
    "/v1/instances/{instance_id}/launch": "/v1/syncs/{sync_id}",
    "/v1/instances/{instance_id}/syncs": "/v1/syncs/{sync_id}",
    "/v1/instances/{instance_id}/plans": "/v1/plans/{plan_id}",
    "/v1/plans/{plan_id}/apply": "/v1/syncs/{sync_id}",
    "/v1/reports/{report_id}/runs": "/v1/report-runs/{run_id}",
}
_METHODS = ("get", "patch", "put", "delete", "post")


def describe(document: dict[str, Any]) -> None:
    """Add to every answer that has a new thing the operations on that thing."""
    paths = document["paths"]
    for path, operations in paths.items():
        made = operations.get("post", {}).get("responses", {})
        for status in ("201", "202"):
            found = _links(paths, _WATCHED_AT.get(path), path if status == "201" else None)
            if status in made and found:
                made[status]["links"] = found


def _links(paths: dict[str, Any], watched: str | None, collection: str | None) -> dict[str, Any]:
    links = {}
    for path, operations in paths.items():
        if not _is_of_one(path, watched, collection):
            continue
        name = path.partition("{")[2].partition("}")[0]
        for method in _METHODS:
            if method in operations:
                links[operations[method]["operationId"]] = {
                    "operationId": operations[method]["operationId"],
                    "parameters": {name: "$response.body#/id"},
                }
    return links


def _is_of_one(path: str, watched: str | None, collection: str | None) -> bool:
    """Whether a path is that of one thing, or lies under it, and names nothing else by an id."""
    if path.count("{") != 1:
        return False
    one = watched or f"{collection}/{{{path.partition('{')[2].partition('}')[0]}}}"
    return path == one or path.startswith(f"{one}/")
