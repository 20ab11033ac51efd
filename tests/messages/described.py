"""What is sent, held against what the API's description says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from app.api.outgoing import DATA


def assert_described(type_: str, data: Mapping[str, Any]) -> None:
    """One of the described forms of this type of message has all the members of the data."""
    fitting = [model for model in DATA[type_] if data.keys() <= model.model_fields.keys()]
    assert fitting, f"{type_} has members that are not described: {sorted(data)}"
    read = TypeAdapter(fitting[0]).validate_json(TypeAdapter(Any).dump_json(data))
    _assert_nothing_else(read, data)


def _assert_nothing_else(read: Any, data: Any) -> None:
    """Nor are there others in the entries of its lists."""
    if isinstance(read, BaseModel):
        told = read.model_dump(by_alias=True)
        assert data.keys() <= told.keys(), f"{type(read).__name__}: {sorted(data.keys() - told.keys())}"
        for name in type(read).model_fields:
            _assert_nothing_else(getattr(read, name), data.get(name))
    elif isinstance(read, list) and data:
        _assert_nothing_else(read[0], data[0])
