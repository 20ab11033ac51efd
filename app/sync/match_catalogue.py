"""Tying applications to the catalogue, by definition key, name or domain. What a person chose stays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.database import Connection

# What people add to a label to tell one tenant of an application from another.
_ADDED = re.compile(
    r"\([^()]*\)|\[[^\[\]]*\]|\b(prod|production|live|staging|stage|sandbox|dev|development|test|uat|sso|saml|oidc|swa)\b"
)
_NO_NAME = re.compile(r"[\W_]+")
# Begun nowhere but at the first label, so that a long text without an end of one is not read anew from each letter.
_DOMAIN = re.compile(r"(?<![a-z0-9-])(?<![a-z0-9-]\.)(?:[a-z0-9-]+\.)+[a-z]{2,}")

_APPLICATIONS = """
    SELECT p.id, p.name, p.catalog_id, CASE WHEN p.kind = 'integrated' THEN i.connector END AS key,
        coalesce(array_agg(e.definition) FILTER (WHERE e.vendor_id IS NOT NULL), '{}') AS definitions,
        coalesce(array_agg(e.label) FILTER (WHERE e.vendor_id IS NOT NULL), '{}') AS labels,
        coalesce(array_agg(e.domain) FILTER (WHERE e.domain IS NOT NULL), '{}') AS domains
    FROM applications p
    JOIN instances i ON i.id = p.instance_id
    LEFT JOIN application_entries e ON e.application_id = p.id
    WHERE p.instance_id = $1 AND NOT p.catalog_chosen
    GROUP BY p.id, i.connector
"""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The entries by what they are found by; None where two entries claim the same."""

    by_key: Mapping[str, UUID | None]
    by_definition: Mapping[str, UUID | None]
    by_name: Mapping[str, UUID | None]
    by_domain: Mapping[str, UUID | None]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Catalogue:
        """Rows have id, key, name, domains and definitions."""
        return cls(
            _index((row["key"], row["id"]) for row in rows),
            _index((definition.lower(), row["id"]) for row in rows for definition in row["definitions"]),
            _index((plain(row["name"]), row["id"]) for row in rows),
            _index((domain, row["id"]) for row in rows for domain in row["domains"]),
        )

    def find(
        self, *, key: str | None, definitions: Iterable[str], names: Iterable[str], domains: Iterable[str]
    ) -> UUID | None:
        """The entry that an application is; None where none fits, or several do.

        key   the connector's, of an integrated application.
        """
        names = list(names)
        tried = (
            [self.by_key.get(key)] if key is not None else [],
            [self.by_definition.get(definition.lower()) for definition in definitions],
            [self.by_name.get(plain(name)) for name in names],
            [self.by_name.get(bare(name)) for name in names],
            [self._at_home(domain) for domain in (*domains, *_domains(names))],
        )
        for found in tried:
            known = {each for each in found if each is not None}
            if known:
                return known.pop() if len(known) == 1 else None
        return None

    def _at_home(self, domain: str) -> UUID | None:
        """The entry of a domain or of the nearest domain above it."""
        while "." in domain:
            if (found := self.by_domain.get(domain)) is not None:
                return found
            domain = domain.partition(".")[2]
        return None


def plain(name: str) -> str:
    """A name without case, spaces and signs."""
    return _NO_NAME.sub("", name.casefold())


def bare(name: str) -> str:
    """A label without what tells one tenant from another: `Salesforce (EU) - Production` is `salesforce`."""
    return plain(_ADDED.sub(" ", name.casefold()))


def _domains(names: Iterable[str]) -> list[str]:
    return [domain for name in names for domain in _DOMAIN.findall(name.casefold())]


def _index(pairs: Iterable[tuple[str, UUID]]) -> dict[str, UUID | None]:
    index: dict[str, UUID | None] = {}
    for word, entry in pairs:
        if word:
            index[word] = entry if index.get(word, entry) == entry else None
    return index


async def match_catalogue(connection: Connection, instance_id: UUID) -> None:
    """Tie the instance's applications to the catalogue as it is now, but those for which a person chose.

    It follows from the catalogue, not from what the vendor told, so it counts as no change of the sync.
    """
    catalogue = Catalogue.of(await connection.fetch("SELECT id, key, name, domains, definitions FROM catalog"))
    changed = []
    for row in await connection.fetch(_APPLICATIONS, instance_id):
        found = catalogue.find(
            key=row["key"],
            definitions=row["definitions"],
            names=dict.fromkeys((row["name"], *row["labels"])),
            domains=row["domains"],
        )
        if found != row["catalog_id"]:
            changed.append((row["id"], found))
    await connection.executemany(
        "UPDATE applications SET catalog_id = $2 WHERE id = $1 AND NOT catalog_chosen", changed
    )
