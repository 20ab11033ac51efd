"""Why a seat can be taken back or not, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.activity.days import Span

Seat = Mapping[str, Any]
"""A row of `Statement.seats`."""


def is_reclaimable(seat: Seat) -> bool:
    """As RECLAIMABLE says it in SQL."""
    observed = seat["whole"] and seat["observed"]
    return seat["seat"] != "none" and not seat["used"] and observed and not seat["exempt"] and not seat["in_grace"]


def reason(seat: Seat, window: Span) -> str:
    """The first thing that decides: no seat, use, lacking coverage, exemption, grace; else that it is unused."""
    covered = f"{seat['covered_days']} of {window.days} days"
    last = _last_use(seat["last_active_at"])
    if seat["seat"] == "none":
        return "No seat: the account holds none now, so there is nothing to take back."
    if seat["used"]:
        return f"Used in the window; {last}."
    if not seat["whole"]:
        return f"Unknown: use is covered for {covered} only, so that no use proves nothing; {last}."
    if not seat["observed"]:
        return "Not to be judged: this is the sign-on provider itself, which tells of sign-ons to others only."
    if seat["exempt"]:
        until = "for good" if seat["exempt_until"] is None else f"until {seat['exempt_until']}"
        return f"Exempt {until}: {seat['exempt_reason']}"
    if seat["in_grace"]:
        return f"In grace until {seat['in_grace_until']}, {seat['grace_days']} days after the seat was given."
    return f"Unused for the whole window, of which {covered} are covered; {last}."


def _last_use(moment: datetime | None) -> str:
    return "no use is known" if moment is None else f"last used on {moment.date()}"
