"""The description of outgoing messages says what is really sent."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from app.api.outgoing import DATA
from app.events.publish import EventType
from tests.conftest import Api
from tests.messages.described import assert_described


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    body: dict[str, Any] = (await api.anonymous().get("/openapi.json")).json()
    return body


def body_of(document: dict[str, Any], type_: str) -> dict[str, Any]:
    content: dict[str, Any] = document["webhooks"][type_]["post"]["requestBody"]["content"]["application/json"]
    return content


async def test_every_event_is_described_with_both_bodies(document: dict[str, Any]) -> None:
    assert document["webhooks"].keys() == {*get_args(EventType), "webhook.test"}
    for type_, item in document["webhooks"].items():
        operation = item["post"]
        assert operation["description"], type_
        headers = {parameter["name"] for parameter in operation["parameters"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        examples = body_of(document, type_)["examples"]
        standard, workflow = examples["standard"]["value"], examples["sailpoint_workflow"]["value"]
        assert standard.keys() == {"type", "timestamp", "data"}
        assert workflow.keys() == {"input"}
        assert workflow["input"] == {**standard["data"], "type": type_, "timestamp": standard["timestamp"],
                                     "message_id": workflow["input"]["message_id"]}  # fmt: skip
        assert_described(type_, standard["data"])


async def test_all_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return found.union(*(references(member) for member in value.values()))
        if isinstance(value, list):
            return set().union(*(references(member) for member in value))
        return set()

    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document["webhooks"]) <= schemas
    assert references(document["components"]) <= schemas
    names = [model["$ref"] for type_ in DATA for model in body_of(document, type_)["schema"]["anyOf"]]
    assert len(names) == len(set(names)) == 2 * len(DATA)
