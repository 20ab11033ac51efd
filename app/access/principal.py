"""Who is calling, and what the roles allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. A token minted for an API key acts as that key.

    type  what `id` names: `api_key`, or `system` for work that nobody asked for.
    """

    type: Literal["api_key", "system"]
    id: UUID | None
    name: str
    email: str | None
    role: Role

    def may(self, least: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(least)

    def as_actor(self) -> dict[str, str | None]:
        """As audit rows and history name them."""
        return {"type": self.type, "id": None if self.id is None else str(self.id), "name": self.name}

    def as_creator(self) -> dict[str, str | None]:
        """As `created_by` of a resource names them."""
        return {"id": None if self.id is None else str(self.id), "name": self.name, "email": self.email}


SYSTEM = Principal("system", None, "Seatwise", None, "admin")
