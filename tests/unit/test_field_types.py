from __future__ import annotations

from typing import Any

import pytest

from app.sync.field_types import FieldType, converter
from app.sync.transforms import UnfitValueError

CHOICES = ("Sales", "Support")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", 7, "7"),
        ("text", ["a", "b"], "a, b"),
        ("number", "7.5", 7.5),
        ("number", 3, 3),
        ("boolean", "Yes", True),
        ("date", "2026-11-03T23:59:00-08:00", "2026-11-03"),
        ("datetime", "2026-11-03T23:59:00-08:00", "2026-11-04T07:59:00Z"),
        ("datetime", "2026-11-03", "2026-11-03T00:00:00Z"),
        ("datetime", "2026-11-03T09:30:00.25Z", "2026-11-03T09:30:00.250Z"),
        ("choice", " sales ", "Sales"),
    ],
)
def test_a_value_becomes_the_type(kind: FieldType, value: Any, expected: Any) -> None:
    assert converter(kind, CHOICES)(value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", {"a": 1}),
        ("number", "many"),
        ("number", True),
        ("boolean", "perhaps"),
        ("date", "soon"),
        ("datetime", 1762162200),
        ("datetime", "0001-01-01T00:00:00+14:00"),
        ("choice", "Kitchen"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_not_repeated(kind: FieldType, value: Any) -> None:
    with pytest.raises(UnfitValueError) as refused:
        converter(kind, CHOICES)(value)
    assert str(value) not in str(refused.value)
