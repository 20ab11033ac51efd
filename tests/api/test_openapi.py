"""The description of the API says what really happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api

SNAPSHOT = Path(__file__).parents[2] / "docs" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}
OPEN = {"/healthz", "/readyz", "/oauth/token", "/links/report-runs/{run_id}", "/.well-known/jwks.json"}


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    response = await api.anonymous().get("/openapi.json")
    body: dict[str, Any] = response.json()
    return body


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, op)
        for path, item in document["paths"].items()
        for method, op in item.items()
        if method in METHODS
    ]


async def test_each_operation_lists_its_errors(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    for path, method, operation in operations(document):
        if path in OPEN:
            continue
        responses = operation["responses"]
        name = f"{method} {path}"
        assert {"401", "403", "503"} <= responses.keys(), name
        assert "404" in responses or "{" not in path, name
        assert "422" in responses or not (operation.get("parameters") or operation.get("requestBody")), name
        assert {"413", "415"} <= responses.keys() or "requestBody" not in operation, name
        assert "412" in responses or method not in {"put", "patch", "delete"}, name
        assert "409" in responses or method != "post", name
        assert operation["security"] == [{"bearer": []}], name
        for status, response in responses.items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], f"{name} {status}"
                assert response["content"]["application/problem+json"]["schema"] == {
                    "$ref": "#/components/schemas/Problem"
                }


async def test_each_operation_is_named_tagged_and_told(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        assert set(operation["tags"]) <= tags, path
        assert operation.get("description"), f"{method} {path}"


async def test_nothing_of_the_framework_shines_through(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in json.dumps(document)
    assert "Problem" in document["components"]["schemas"]


async def test_the_snapshot_is_up_to_date(document: dict[str, Any]) -> None:
    """With SEATWISE_UPDATE_SNAPSHOTS=1 it is written anew."""
    current = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("SEATWISE_UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(current)
    assert SNAPSHOT.read_text() == current


async def test_no_schema_is_named_after_where_its_code_stands(api: Api) -> None:
    assert [name for name in api.app.openapi()["components"]["schemas"] if name.startswith("app__")] == []
