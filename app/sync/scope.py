"""What one run works on, fixed when it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RunScope:
    """The instance's sync settings as the statements need them.

    owner       who answers for what the instance uploads; set on people, and their `uploaded_by`.
    settings    the digest of the settings that the run works with.
    confirmed   a person has seen whom it takes away: nothing is held.
    """

    instance_id: UUID
    sync_id: UUID
    accounts: bool
    preference: Literal["create_and_update", "create_only", "update_only"]
    deactivate: bool
    deactivation_limit_percent: int
    absence_scans: int
    detection: Literal["label", "display_name"]
    lookback_days: int
    owner: str
    restrict_access: bool
    person_role: str | None
    username_format: Literal["email", "username", "local_part"]
    filtered: bool
    settings: str
    confirmed: bool = False
