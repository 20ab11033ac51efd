"""The secrets of a credential, opened or looked up where they are needed and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from app.core.errors import FieldError, InvalidInput
from app.models import Credential
from app.vault import Vault

OWN_PREFIX = "SEATWISE_"


def sealing_context(credential_id: object) -> str:
    """What a credential's secrets are bound to, so that a sealed text moved to another row does not open."""
    return f"credentials/{credential_id}/secrets"


def open_secrets(vault: Vault, credential: Credential, secrets_dir: Path) -> dict[str, str]:
    """The secrets by name. Raises InvalidInput where a local one cannot be read, naming the variable or file."""
    content = msgspec.json.decode(vault.open(credential.sealed, context=sealing_context(credential.id)))
    if credential.storage != "local":
        return {str(name): str(value) for name, value in content.items()}
    return {name: read_local(name, place, secrets_dir) for name, place in content.items()}


def read_local(name: str, place: Mapping[str, Any], secrets_dir: Path) -> str:
    """One secret of storage `local`, from the environment or a file of this host."""
    variable = place.get("env")
    if not variable:
        return _read_file(name, str(place.get("file")), secrets_dir)
    value = os.environ.get(str(variable))
    if not value:
        raise InvalidInput.at(
            f"#/secrets/{name}", f"The variable {variable} is not set on the host that runs the sync."
        )
    return value


def local_place_error(name: str, place: Any, secrets_dir: Path) -> FieldError | None:
    """Why a local secret may not be taken from there, None where it may."""
    pointer = f"#/secrets/{name}"
    if not isinstance(place, dict) or len(place) != 1 or next(iter(place)) not in {"env", "file"}:
        return FieldError(
            'Storage local names where the secret is: {"env": "NAME"} or {"file": "/path"}.', pointer=pointer
        )
    where = next(iter(place.values()))
    if not isinstance(where, str) or not where:
        return FieldError("The name of the variable or file is a text.", pointer=pointer)
    if "env" in place and where.upper().startswith(OWN_PREFIX):
        return FieldError(f"Variables that begin {OWN_PREFIX} are the service's own; name another.", pointer=pointer)
    if "file" in place and not _is_inside(Path(where), secrets_dir):
        return FieldError(f"Only files under {secrets_dir} may be named.", pointer=pointer)
    return None


def _is_inside(file: Path, folder: Path) -> bool:
    return file.is_absolute() and file.resolve().is_relative_to(folder.resolve())


def _read_file(name: str, where: str, secrets_dir: Path) -> str:
    file = Path(where)
    if not _is_inside(file, secrets_dir):
        raise InvalidInput.at(f"#/secrets/{name}", f"Only files under {secrets_dir} may be named.")
    try:
        value = file.read_text("utf-8").strip()
    except OSError as error:
        raise InvalidInput.at(f"#/secrets/{name}", f"{where} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise InvalidInput.at(f"#/secrets/{name}", f"{where} holds no text in UTF-8.") from None
    if not value:
        raise InvalidInput.at(f"#/secrets/{name}", f"{where} is empty on the host that runs the sync.")
    return value
