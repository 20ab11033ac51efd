"""What an instance's `sync` member holds, and what it is where nothing was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "scope": "users_and_accounts",
    "preference": "create_and_update",
    "deactivate": True,
    "deactivation_limit_percent": 20,
    "lookback_days": 90,
    "detection": "label",
    "detect_unmanaged": False,
    "absence_scans": 1,
    "role": None,
    "username_format": "email",
    "restrict_access": False,
    "filters": [],
}
DEFAULT_SCHEDULE = {"every": "24h"}

# A change of these asks for another reading of the activity than the one that was covered.
REREAD = frozenset({"filters", "scope", "lookback_days"})


def merged_sync(old: Mapping[str, Any], patch: Mapping[str, Any] | None) -> dict[str, Any]:
    """A merge patch over the settings; null brings a default back."""
    given = {name: value for name, value in {**old, **(patch or {})}.items() if value is not None}
    return {**DEFAULTS, **given}


def merged_schedule(old: Mapping[str, Any] | None, patch: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A merge patch over the schedule. `every` and `cron` take each other's place; a cron schedule names its zone."""
    if patch is None:
        return None
    if patch.get("every") is not None:
        merged = {**patch}
    elif patch.get("cron") is not None:
        merged = {"timezone": (old or {}).get("timezone"), **patch}
    else:
        merged = {**(old or {}), **patch}
    merged = {name: value for name, value in merged.items() if value is not None}
    return {**merged, "timezone": merged.get("timezone", "UTC")} if "cron" in merged else merged
