"""What of an instance's settings a plan was made with."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from app.models import Credential, Instance


def settings_digest(instance: Instance, credential: Credential | None) -> str:
    """Changes with whatever would let the same read lead to other changes; the limit only says which are asked for."""
    name = credential.name if credential is not None else None
    sync = {key: value for key, value in instance.sync.items() if key != "deactivation_limit_percent"}
    settings = [instance.connector, instance.options, sync, instance.mapping, instance.owner, name]
    return sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()
