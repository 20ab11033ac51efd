"""A connector's page, made from its manifest; what a person wrote below the line is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

from app.connectors.manifest import Manifest, Option, Scheme

LINE = "<!-- Written by hand from here on. -->"

_CAPABILITIES = {
    "detect_applications": "finds the applications behind it and makes a record of each",
    "group_access": "resolves access by groups to the people in them",
    "labels": "tells applications with the same definition apart by their labels",
    "assignments": "lists who is assigned to each application",
    "activity_by_user": "tells who signed on where, and when",
    "incremental_activity": "follows the log by its cursor, so that no late event is missed",
    "roles": "gives the roles that users have there",
    "resume": "goes on after a crash from the page it had reached",
    "source_mappings": "lists the sources that applications are mapped to",
    "certifications": "gives the accounts that reviews of access are about",
}
_STREAMS = {
    "users": "users",
    "applications": "applications",
    "assignments": "who may use them",
    "activity": "sign-ons",
}
_KINDS = {"boolean": "true or false", "uri": "a URL", "string": "a text"}


def generated(manifest: Manifest) -> str:
    """The page up to and with the line."""
    parts = [
        f"# {manifest.name}",
        f"Connector `{manifest.key}`, category `{manifest.category}`.",
        f"Up to “Limits” this is what `GET /v1/connectors/{manifest.key}` answers; the rest is written by hand.",
        "## What it reads",
        _reads(manifest),
        "## Set up at the vendor",
        "\n".join(f"{number}. {step}" for number, step in enumerate(manifest.setup, 1)),
        "## What the vendor must grant",
        _table(
            ("permission", "why", "does as well"),
            [(f"`{p.name}`", p.reason, ", ".join(f"`{each}`" for each in p.accepted)) for p in manifest.permissions],
        ),
        "A credential's `check` names each that is missing.",
        "## Credential",
        _table(("scheme", "what it is", "secrets"), [_scheme(scheme) for scheme in manifest.schemes]),
        "## Options",
        "They may stand on the credential, on the instance, or on both; the instance's win.",
        _table(("option", "what it is", "values"), [_option(option) for option in manifest.options]),
        "## Connect",
        _connect(manifest),
        *_fields(manifest),
        "## Limits",
        _limits(manifest),
        LINE,
    ]
    return "\n\n".join(parts) + "\n"


def whole(manifest: Manifest, present: str) -> str:
    """The page as it should be, with what stands below the line now."""
    return generated(manifest) + present.partition(LINE + "\n")[2]


def _reads(manifest: Manifest) -> str:
    streams = ", ".join(_STREAMS[stream] for stream in manifest.streams)
    first = (
        f"Streams, in this order: {streams}." if streams else "No users and no seats: it is asked when a mapping is."
    )
    return f"{first} It\n\n" + "\n".join(f"- {_CAPABILITIES[each]};" for each in manifest.capabilities)[:-1] + "."


def _scheme(scheme: Scheme) -> tuple[str, ...]:
    secrets = (f"`{s.name}`{'' if s.required else ' (optional)'}: {s.title}" for s in scheme.secrets)
    return f"`{scheme.scheme}`", scheme.title, "; ".join(secrets)


def _option(option: Option) -> tuple[str, ...]:
    values = ", ".join(f"`{choice}`" for choice in option.choices) or _KINDS[option.format or option.type]
    default = "" if option.default is None else f"default `{str(option.default).lower()}`"
    told = "; ".join(part for part in ("**needed**" if option.required else "", values, default) if part)
    description = f"{option.title}. {option.description} {option.hint}".strip()
    return f"`{option.name}`", description, told


def _connect(manifest: Manifest) -> str:
    """The body that makes a credential, with what is needed and nothing else."""
    scheme = manifest.schemes[0]
    body = {
        "name": f"{manifest.name} reader",
        "connector": manifest.key,
        "scheme": scheme.scheme,
        "secrets": {secret.name: "…" for secret in scheme.secrets if secret.required},
        "options": {option.name: (*option.choices, "…")[0] for option in manifest.options if option.required},
    }
    lines = json.dumps(body, ensure_ascii=False, indent=2)
    after = (
        "then an instance with its `credential_id`, and `POST /v1/instances/{id}/launch`" if manifest.streams else ""
    )
    told = ", ".join(part for part in ("`POST /v1/credentials/{id}/check`", after) if part)
    steps = f"then {told}; [the guide](../api-guide.md) shows each step."
    return f"`POST /v1/credentials` with\n\n```json\n{lines}\n```\n\n{steps}"


def _fields(manifest: Manifest) -> list[str]:
    if not manifest.fields:
        return []
    targets = {row.source: row.target for row in manifest.default_mapping}
    rows = [
        (
            f"`{field.name}`",
            f"{field.title}. {field.description}",
            field.type,
            f"`{targets[field.name]}`" if field.name in targets else "",
            f"`metadata.{field.name}`" if field.filterable else "",
        )
        for field in manifest.fields
    ]
    return [
        "## Fields of a user",
        "Any other field of the vendor's record can be mapped by its path, as `raw.<path>`.",
        _table(("field", "what it is", "type", "mapped to unless told otherwise", "filter of accounts"), rows),
    ]


def _limits(manifest: Manifest) -> str:
    lines = []
    if manifest.streams:
        kept = manifest.activity_days
        lines.append(
            f"- The vendor keeps {kept} days of events: a first sync can tell of no more."
            if kept
            else "- The vendor tells of no use: every seat of it is `unknown`, never `unused`."
        )
    lines += [
        f"- Documented quota of `{bucket}`: {quota.requests:,} requests in {quota.per_s:g} s."
        for bucket, quota in manifest.quotas.items()
    ]
    if not manifest.quotas:
        lines.append("- The quota is read from the vendor's own headers, for each kind of request.")
    lines.append(
        "- `SEATWISE_RATE_HEADROOM_PERCENT` of a quota (half, unless told otherwise) is left to its other users."
    )
    return "\n".join(lines)


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")
