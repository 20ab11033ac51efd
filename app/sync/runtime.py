"""What a process works with, opened once at start and handed down."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.core.database import Database
from app.core.ids import new_id
from app.core.settings import Settings
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    database: Database
    vault: Vault
    process_id: UUID = field(default_factory=new_id)
