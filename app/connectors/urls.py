"""The addresses a connector calls, and the two advanced options that replace them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.manifest import Option

_URL = r"https?://[^\s/?#@]+(?:/[^\s?#]*)?"
_HINT = "Type a whole URL such as https://proxy.example.com, without query or user name."


def api_url_option(documented: str) -> Option:
    """`documented` is the base that the option replaces, as a reader of the form would recognise it."""
    return Option(
        name="api_url",
        title="API URL",
        description=f"Replaces {documented}, for a private cloud, a proxy or a test server.",
        pattern=_URL,
        hint=_HINT,
        format="uri",
    )


def auth_url_option(documented: str, path: str) -> Option:
    """`path` is what follows the option's value in the token URL."""
    return Option(
        name="auth_url",
        title="Token URL base",
        description=f"Replaces {documented} before {path}, for a private cloud, a proxy or a test server.",
        pattern=_URL,
        hint=_HINT,
        format="uri",
    )


def base_url(options: Mapping[str, Any], name: str, documented: str) -> str:
    """The configured base, else the documented one; never with a slash at its end."""
    return str(options.get(name) or documented).rstrip("/")
