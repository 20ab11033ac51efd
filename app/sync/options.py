"""Connection options as they may be saved, private addresses refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.connectors.manifest import Manifest
from app.core.errors import FieldError, InvalidInput
from app.core.settings import Network
from app.http.egress import check_url


def option_errors(manifest: Manifest, options: Mapping[str, Any], allow: Sequence[Network]) -> list[FieldError]:
    """What is wrong with the values given; none of them is needed here (see Manifest.missing_options).

    allow  networks that may be reached although they are not public.
    """
    errors = manifest.option_errors(options)
    bad = {error.pointer for error in errors}
    for name, value in options.items():
        pointer = f"#/options/{name}"
        if name.endswith("_url") and pointer not in bad:
            try:
                check_url(value, allow, pointer=pointer)
            except InvalidInput as error:
                errors.extend(error.errors)
    return errors
