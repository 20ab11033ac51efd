"""Addresses of mail, as people give them."""

from __future__ import annotations

import re

_PART = r'[^@\s\x00-\x1f\x7f,;:<>()\[\]"\\]+'
LONGEST = 320
PATTERN = f"^{_PART}@{_PART}$"
"""One bare address: nothing that makes two of it, or a name beside it, where it stands in the head of a mail."""

_ADDRESS = re.compile(PATTERN)


def is_address(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST and _ADDRESS.fullmatch(value) is not None
