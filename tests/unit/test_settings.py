"""What a setting refuses, before anything begins with it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.core.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("admin_key", "with a blank"),
        ("admin_key", "trailing "),
        ("admin_key", "schlüssel"),
        ("public_url", "seatwise.example.com"),
        ("public_url", "javascript:alert(1)"),
        ("public_url", "https://user@seatwise.example.com"),
        ("retention_days", 10**9),
    ],
)
def test_what_could_not_work_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **{name: value})
    assert refused.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize(
    "url", ["https://seatwise.example.com", "http://127.0.0.1:8000", "https://x.example/seatwise/"]
)
def test_a_base_of_links_is_a_url(url: str) -> None:
    assert Settings(_env_file=None, public_url=url).public_url == url
