"""Which mappings can be saved, and what one still lacks. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from app.core.errors import FieldError
from app.sync.mapping import COLUMNS, COMMON_FIELDS, TRACKING, Row
from app.sync.sources import is_path
from app.sync.transforms import TRANSFORMS

TARGETS = (*COLUMNS, *COMMON_FIELDS)
CUSTOM_PATTERN = r"(account|person)\.[a-z][a-z0-9_]{0,62}"

_CUSTOM = re.compile(CUSTOM_PATTERN)


def mapping_errors(
    rows: Sequence[Row], fields: Collection[str], custom: Collection[str] | None = None, *, at: str = "#/items"
) -> list[FieldError]:
    """What is wrong with the rows, each with its place.

    fields   the connector's source fields.
    custom   targets of the custom fields that exist (`account.cost_center`); None: any well-formed one will do.
    """
    errors: list[FieldError] = []
    seen: set[str] = set()
    for number, row in enumerate(rows):
        place = f"{at}/{number}"
        if problem := _source_problem(row["source"], fields):
            errors.append(FieldError(problem, pointer=f"{place}/source"))
        if problem := _target_problem(row["target"], seen, custom):
            errors.append(FieldError(problem, pointer=f"{place}/target"))
        if row.get("transform") not in (None, *TRANSFORMS):
            errors.append(
                FieldError(f"A transform is null or one of {', '.join(TRANSFORMS)}.", pointer=f"{place}/transform")
            )
        seen.add(row["target"])
    return errors


def missing_targets(rows: Sequence[Row], *, at: str = "#/mapping") -> list[FieldError]:
    """The mandatory targets that no row fills: email or username, and name."""
    mapped = {row["target"] for row in rows}
    missing = []
    if not mapped & {"email", "username"}:
        missing.append(
            FieldError("Map a source to email or username: they tell who somebody is.", pointer=f"{at}/email")
        )
    if "name" not in mapped:
        missing.append(FieldError("Map a source to name.", pointer=f"{at}/name"))
    return missing


def _source_problem(source: str, fields: Collection[str]) -> str | None:
    if source in fields or source in TRACKING or is_path(source):
        return None
    if source.startswith("raw"):
        return "A path is raw.<name>, dots between names and [n] for list items, such as raw.profiles[0].provider."
    names = ", ".join((*fields, *TRACKING))
    return f"There is no source {source!r}. Sources are {names}, and raw.<path> for anything else in the record."


def _target_problem(target: str, seen: Collection[str], custom: Collection[str] | None) -> str | None:
    if custom is not None and target not in custom and _CUSTOM.fullmatch(target):
        return f"There is no field {target}. Make it with POST /v1/fields first."
    if target not in TARGETS and not _CUSTOM.fullmatch(target):
        names = ", ".join(TARGETS)
        return f"There is no target {target!r}. Targets are {names}, account.<key> and person.<key>."
    return f"{target} is mapped by an earlier row; each target stands once." if target in seen else None
