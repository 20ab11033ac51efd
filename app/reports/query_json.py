"""Members of JSON columns as SQL values of a type, null where they are no such thing: no cast here can fail."""

from __future__ import annotations

from app.reports.columns import Type

_DAY = r"(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_ZONE = r"(Z|[+-](0\d|1[0-4]):?[0-5]\d)"
_NUMBER = r"^[+-]?\d{1,200}(\.\d{1,200})?([eE][+-]?\d{1,2})?$"


def typed(member: str, of: Type) -> str:
    """A jsonb expression as a value of the type, as a column shows it."""
    text = as_text(member)
    if of == "text":
        return text
    if of in ("integer", "number", "decimal"):
        return number(member)
    if of == "boolean":
        return f"(CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false END)"
    return f"({moment(member)} AT TIME ZONE 'UTC')::date" if of == "date" else moment(member)


def as_text(member: str) -> str:
    return f"({member} #>> '{{}}')"


def word(member: str, text_only: bool) -> str:
    """What a text is compared with: a text that is not empty, or a number or boolean as it is written."""
    kinds = "'string'" if text_only else "'string', 'number', 'boolean'"
    return f"(CASE WHEN jsonb_typeof({member}) IN ({kinds}) THEN nullif({as_text(member)}, '') END)"


def number(member: str) -> str:
    text = as_text(member)
    return (
        f"(CASE WHEN jsonb_typeof({member}) = 'number' THEN ({member})::numeric"
        f" WHEN {text} ~ '{_NUMBER}' THEN {text}::numeric END)"
    )


def moment(member: str) -> str:
    """A date or a time of RFC 3339; one without a zone is taken for UTC."""
    text = as_text(member)
    days = (
        f"extract(day FROM make_date(left({text}, 4)::int, substr({text}, 6, 2)::int, 1) + interval '1 month -1 day')"
    )
    zoned = f"CASE WHEN {text} ~ '{_ZONE}$' AND length({text}) > 10 THEN {text} ELSE {text} || ' UTC' END"
    return (
        f"(CASE WHEN {text} ~ '^{_DAY}([T ]{_TIME}{_ZONE}?)?$' THEN"
        f" CASE WHEN substr({text}, 9, 2)::int <= {days} THEN ({zoned})::timestamptz END END)"
    )


def any_item(member: str, test: str) -> str:
    """A test with the field {item}, of the member, or of each of its items where it is a list."""
    alone, each = test.replace("{item}", f"({member})"), test.replace("{item}", "e.item")
    listed = f"EXISTS (SELECT FROM jsonb_array_elements({member}) AS e (item) WHERE {each})"
    return f"(CASE jsonb_typeof({member}) WHEN 'array' THEN {listed} ELSE {alone} END)"
