"""Which source is likely which application, judged by names. Pairs that are mapped, or whose environments differ, are
left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.certifications.environments import environment_of_source, mismatch
from app.connectors.sailpoint import Source
from app.core.database import Pool
from app.models import Credential
from app.sync.match_catalogue import Catalogue, bare, plain

LEAST = 0.3
_OF_EACH = 5
# Words that many names share and that tell nothing.
_COMMON = frozenset(
    {
        "prod", "production", "staging", "stage", "dev", "development", "test", "sandbox", "source", "sources", "app",
        "application", "direct", "accounts", "users", "connector", "sso", "saml", "oidc", "cloud", "delimited", "file",
        "the", "and", "for", "of", "inc",
    }
)  # fmt: skip
_WORD = re.compile(r"[a-z0-9]+")

_APPLICATIONS = """
    SELECT p.id, p.instance_id, p.name, p.kind, p.catalog_id, c.name AS catalogue_name,
        i.environment, i.connector, i.name AS instance
    FROM applications p
    JOIN instances i ON i.id = p.instance_id AND NOT (i.leaving OR i.status = 'deleting')
    LEFT JOIN catalog c ON c.id = p.catalog_id
    ORDER BY p.id
"""
_MAPPED = "SELECT source_id, application_id FROM source_mappings WHERE tenant_id = $1"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An application as far as its names go. An integrated one is called by its connector and its instance too.

    environment  the instance's; where it has none, a word of the application's or the instance's name.
    """

    id: UUID
    instance_id: UUID
    catalog_id: UUID | None
    environment: str | None
    direct: bool
    plain_names: frozenset[str]
    bare_names: frozenset[str]
    words: frozenset[str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Candidate:
        direct = row["kind"] == "integrated"
        own = [row["name"], *((row["connector"], row["instance"]) if direct else ())]
        names = [name for name in (*own, row["catalogue_name"]) if name]
        return cls(
            id=row["id"],
            instance_id=row["instance_id"],
            catalog_id=row["catalog_id"],
            environment=row["environment"] or environment_of_source(None, None, f"{row['name']} {row['instance']}"),
            direct=direct,
            plain_names=frozenset(map(plain, names)),
            bare_names=frozenset(map(bare, names)),
            words=_words(names),
        )


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A likely pair; `score` is from 0 to 1, `reason` in plain words."""

    source: Source
    candidate: Candidate
    score: float
    reason: str

    def place(self) -> tuple[float, str, str]:
        """Best first; between equals by names and ids, so that pages do not overlap."""
        return -self.score, f"{self.source.name.lower()} {self.source.id}", str(self.candidate.id)


async def suggestions(pool: Pool, tenant: Credential, sources: Sequence[Source]) -> list[Suggestion]:
    """The likely pairs of a tenant's sources with the applications of the books, best first, a few for each source."""
    async with pool.acquire() as connection:
        candidates = [Candidate.of(row) for row in await connection.fetch(_APPLICATIONS)]
        catalogue = Catalogue.of(await connection.fetch("SELECT id, key, name, domains, definitions FROM catalog"))
        mapped = {(row["source_id"], row["application_id"]) for row in await connection.fetch(_MAPPED, tenant.id)}
    near = _Neighbours(candidates)
    environment = tenant.options.get("environment")
    found: list[Suggestion] = []
    for source in sources:
        is_a = catalogue.find(key=None, definitions=(), names=[source.name], domains=())
        its_environment = environment_of_source(None, environment, source.name)
        pairs = (
            _judged(source, candidate, is_a, its_environment)
            for candidate in near.of(source, is_a)
            if (source.id, candidate.id) not in mapped and not mismatch(its_environment, candidate.environment)
        )
        likely = sorted((pair for pair in pairs if pair.score >= LEAST), key=Suggestion.place)
        found += likely[:_OF_EACH]
    return sorted(found, key=Suggestion.place)


class _Neighbours:
    """Finds the applications that share a word, a name or a catalogue entry with a source, without trying all pairs."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._by_key: dict[object, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            for key in {*candidate.words, *candidate.bare_names, candidate.catalog_id}:
                self._by_key[key].append(candidate)

    def of(self, source: Source, is_a: UUID | None) -> Iterator[Candidate]:
        keys: set[object] = {*_words(_names(source)), *map(bare, _names(source))}
        keys |= {is_a} if is_a is not None else set()
        yield from {candidate.id: candidate for key in keys for candidate in self._by_key.get(key, ())}.values()


def _names(source: Source) -> list[str]:
    return [name for name in (source.name, source.type, source.connector) if name]


def _words(names: Iterable[str]) -> frozenset[str]:
    return frozenset(word for name in names for word in _WORD.findall(name.casefold())) - _COMMON


def _judged(source: Source, candidate: Candidate, is_a: UUID | None, environment: str | None) -> Suggestion:
    score, reason = _by_names(source, candidate, is_a)
    if environment is not None and environment == candidate.environment:
        score, reason = score + 0.07, f"{reason} Both are {environment}."
    if candidate.direct:
        score += 0.03
    return Suggestion(source, candidate, round(min(score, 1.0), 3), reason)


def _by_names(source: Source, candidate: Candidate, is_a: UUID | None) -> tuple[float, str]:
    if plain(source.name) in candidate.plain_names:
        return 0.9, "They have the same name."
    if bare(source.name) and bare(source.name) in candidate.bare_names:
        return 0.8, "They have the same name, but for words that tell environments apart."
    if is_a is not None and is_a == candidate.catalog_id:
        return 0.75, "Both are the same application of the catalogue."
    kinds = {bare(kind) for kind in (source.type, source.connector) if kind} - {""}
    if kinds & candidate.bare_names:
        return 0.6, f"The source's connector is {source.type or source.connector}."
    ours, theirs = candidate.words, _words([source.name])
    shared = ours & theirs
    if not shared:
        return 0.0, "They share no word."
    return 0.6 * len(shared) / min(len(ours), len(theirs)), f"Both names have {', '.join(sorted(shared))}."
