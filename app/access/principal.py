"""Who is calling, and what the roles allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Role = Literal["ingest", "viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most; `ingest` may nothing but hand records to one instance."""

OIDC_ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
"""Those that a token of the identity provider may name."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. A token minted for an API key acts as that key.

    type  what `id` names: `api_key`, `oidc` for a subject of the identity provider (an id made of issuer and subject),
          or `system` for work that nobody asked for.
    """

    type: Literal["api_key", "oidc", "system"]
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
