"""Which environment a source is, and whether it fits the application it is tied to. Null fits all."""

from __future__ import annotations

import re
from typing import Literal, cast

Environment = Literal["production", "staging", "development"]

_WORD = re.compile(r"[a-z]+")
_WORDS: dict[str, Environment] = {
    "prod": "production",
    "production": "production",
    "prd": "production",
    "staging": "staging",
    "stage": "staging",
    "dev": "development",
    "devel": "development",
    "development": "development",
    "test": "development",
    "testing": "development",
    "sandbox": "development",
}


def environment_of_source(said: str | None, tenant: object, source_name: str) -> Environment | None:
    """What a person said of the mapping, else the tenant's option, else the first such word of the source's name."""
    if said is not None or isinstance(tenant, str):
        return cast("Environment", said or tenant)
    words = _WORD.findall(source_name.casefold())
    return next((_WORDS[word] for word in words if word in _WORDS), None)


def mismatch(source: str | None, application: str | None) -> bool:
    return source is not None and application is not None and source != application
