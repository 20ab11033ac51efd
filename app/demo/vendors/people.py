"""The humans and the product names of the simulated world, invented from a number.

Nothing is stored: the same number gives the same person in every process, so that all three vendors
know the same humans.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

_MASK = (1 << 64) - 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = _words(
    "Ada Aisha Alan Amara André Anika Arjun Beatriz Bruno Camille Chiara Daniel Dilnoza Edda Elif Emeka Farah Felix "
    "Freya Gita Hana Hugo Ilse Imran Ines Ivo Jamila José Jun Kaito Kemal Lena Liam Lucía Mads Maya Milan Nadia Noah "
    "Noor Olga Omar Paula Pavel Quentin Rania Renée Ruben Sana Siri Tariq Tessa Tomás Ugo Vera Wen Xenia Yusuf Zoë Zora"
)
FAMILY = _words(
    "Abbas Adeyemi Almeida Bakker Banerjee Barros Becker Castro Chen Conti Dahl Diallo Dubois Eriksen Evans Farkas "
    "Fischer Fontaine García Goldberg Haddad Hansen Holm Horvat Ibrahim Ito Jansen Jensen Kaya Keller Khan Kim Kovács "
    "Larsen Lefèvre Lindqvist Lopes Marino Mbeki Meyer Moreau Müller Nagy Nakamura Novak Okafor Olsen Ortiz Park Patel "
    "Petrov Quist Rahman Ricci Romero Rossi Santos Sato Schmidt Silva Singh Sokolov Tanaka Tóth Vidal Vogel Weber Wolf "
    "Yamada Yilmaz Zhang Ziegler"
)
DOMAINS = ("example.com", "example.org", "example.net")
PLACES = (
    ("Lund", "Skåne", "SE", "sv-SE", "Europe/Stockholm"),
    ("Porto", "Norte", "PT", "pt-PT", "Europe/Lisbon"),
    ("Bremen", "Bremen", "DE", "de-DE", "Europe/Berlin"),
    ("Boise", "Idaho", "US", "en-US", "America/Boise"),
    ("Halifax", "Nova Scotia", "CA", "en-CA", "America/Halifax"),
    ("Perth", "Western Australia", "AU", "en-AU", "Australia/Perth"),
    ("Sendai", "Miyagi", "JP", "ja-JP", "Asia/Tokyo"),
    ("Rosario", "Santa Fe", "AR", "es-AR", "America/Argentina/Cordoba"),
)
DEPARTMENTS = ("Engineering", "Sales", "Support", "Finance", "People", "Legal", "Design", "Operations")
TITLES = ("Analyst", "Engineer", "Manager", "Specialist", "Director", "Coordinator")

_FIRST = _words(
    "Ledger Task Pixel Cargo Harbor Quill Signal Orchard Beacon Clover Marble Nimble Parcel Summit Tidal Velvet"
)
_LAST = _words("ly lane hive desk dock board flow loop nest path room sheet stack trail vault works")


class Person(NamedTuple):
    """One human. `login` is ASCII and unique; `email` is in lower case."""

    number: int
    given: str
    family: str
    login: str
    email: str
    place: tuple[str, str, str, str, str]
    department: str
    title: str


def mix(*parts: int) -> int:
    """A 64-bit number that looks random and depends on all parts (the finalizer of splitmix64)."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = (state ^ part) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


_GIVEN_ASCII = tuple(_ascii(name) for name in GIVEN)
_FAMILY_ASCII = tuple(_ascii(name) for name in FAMILY)


@lru_cache(maxsize=1 << 15)
def person(seed: int, number: int) -> Person:
    """The human of that number: names repeat, logins do not (later bearers of a name carry a figure)."""
    pairs = len(GIVEN) * len(FAMILY)
    pair = (number * 1777 + seed) % pairs
    given, family = pair % len(GIVEN), pair // len(GIVEN)
    bearer = number // pairs
    login = f"{_GIVEN_ASCII[given]}.{_FAMILY_ASCII[family]}{bearer + 1 if bearer else ''}"
    dice = mix(seed, number)
    return Person(
        number=number,
        given=GIVEN[given],
        family=FAMILY[family],
        login=login,
        email=f"{login}@{DOMAINS[dice % 3]}",
        place=PLACES[(dice >> 8) % len(PLACES)],
        department=DEPARTMENTS[(dice >> 16) % len(DEPARTMENTS)],
        title=TITLES[(dice >> 24) % len(TITLES)],
    )


def product_name(number: int) -> str:
    """The name of an invented product; from the 257th on with a figure."""
    first, last = _FIRST[number % 16], _LAST[(number // 16 + number * 5) % 16]
    return f"{first}{last}" if number < 256 else f"{first}{last} {number // 256 + 1}"
