"""Words of a vendor or receiver made fit to be shown: no control characters, and nothing of our secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

EXCERPT_CHARS = 1000
WORDS_CHARS = 300
# So many characters of a secret in a row give it away; a shorter secret does so whole.
TELLING_CHARS = 8

_READ_CHARS = 4 * EXCERPT_CHARS
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s\"'<>]+")
_NAMED_SECRET = re.compile(r"\b(SSWS|Bearer|Basic)\s+[^\s\"',;]{6,}", re.IGNORECASE)
_LOGIN = re.compile(r"//[^/\s?#]*@|//.*@")
_JWT = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*)*")
_OPAQUE = re.compile(r"[\w+=~-]{24,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# A character as it may stand in JSON or in a URL.
_WRITTEN = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)|%([0-9a-fA-F]{2})|(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def excerpt(content: bytes, secrets: Collection[str]) -> str | None:
    """At most 1,000 characters of a body; None where it is empty.

    secrets  every text that must not be seen, whole or in pieces, wrapped over lines or escaped.
    """
    shown = masked(content[: 4 * _READ_CHARS].decode("utf-8", "replace")[:_READ_CHARS], secrets)
    return shown[:EXCERPT_CHARS] or None


def without_secrets(words: str, secrets: Collection[str] = ()) -> str:
    """At most 300 characters of a text, with secrets, queries and whatever looks like a token replaced by ***."""
    words = masked(words[:_READ_CHARS], secrets)
    words = _QUERY.sub(lambda found: "?***" if "=" in found[0] else found[0], words)
    words = _NAMED_SECRET.sub(r"\1 ***", words)
    words = _JWT.sub("***", words)
    words = _OPAQUE.sub(lambda found: "***" if _looks_secret(found[0]) else found[0], words)
    words = " ".join(words.split())
    return words if len(words) <= WORDS_CHARS else words[: WORDS_CHARS - 1] + "…"


def repeated(value: str) -> str:
    """What somebody typed, quoted, as an error may repeat it: without a login or whatever else looks like a secret."""
    return repr(without_secrets(_LOGIN.sub("//***@", value[:WORDS_CHARS])))


def _looks_secret(word: str) -> bool:
    """Whether a long word is made of letters and digits, as tokens are, and is no UUID, as the ids of things are."""
    mixed = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    return mixed and not _UUID.fullmatch(word)


def masked(words: str, secrets: Collection[str]) -> str:
    """The words on one line, with *** in place of every stretch of a secret."""
    bare = ["".join(secret.split()) for secret in secrets]
    if _tells(words, bare):
        read, places = _read(words)
        hidden = bytearray(len(read))
        for secret in bare:
            _hide(read, secret, hidden)
        words = _without(words, [place for place, is_hidden in zip(places, hidden, strict=True) if is_hidden])
    return _CONTROL.sub(" ", words.encode("utf-8", "replace").decode()).strip()


def _tells(words: str, secrets: Collection[str]) -> bool:
    """Whether there may be anything to hide: most answers have nothing, and are looked through once."""
    if "\\" in words or "%" in words:
        return True
    read = _CONTROL.sub("", "".join(words.split()))
    long = "\n".join(secret for secret in secrets if len(secret) >= TELLING_CHARS)
    if any(read[start : start + TELLING_CHARS] in long for start in range(len(read) - TELLING_CHARS + 1)):
        return True
    return any(secret in read for secret in secrets if 0 < len(secret) < TELLING_CHARS)


def _read(words: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its escapes, white space and control characters, and where each character of it stands."""
    read: list[str] = []
    places: list[tuple[int, int]] = []
    for found in _WRITTEN.finditer(words):
        code, escaped, percent, plain = found.groups()
        if plain is None:
            plain = chr(int(code or percent, 16)) if code or percent else _ESCAPES.get(escaped, escaped)
        if not plain.isspace() and not _CONTROL.match(plain):
            read.append(plain)
            places.append(found.span())
    return "".join(read), places


def _hide(read: str, secret: str, hidden: bytearray) -> None:
    length = min(len(secret), TELLING_CHARS)
    if not length:
        return
    for start in range(len(read) - length + 1):
        if read[start : start + length] in secret:
            hidden[start : start + length] = b"\x01" * length


def _without(words: str, places: list[tuple[int, int]]) -> str:
    kept: list[str] = []
    end = -1
    for start, stop in places:
        if start > end >= 0 and not words[end:start].strip():
            end = stop
            continue
        if start != end:
            kept.append(words[max(end, 0) : start] + "***")
        end = stop
    return "".join(kept) + words[max(end, 0) :]
