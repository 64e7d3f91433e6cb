"""Sizes as a fleet file writes them: `500KB 10MB 2GB`, powers of ten; `KiB MiB GiB` are powers of two."""

from __future__ import annotations

import re

EXPECTED = "a size with its unit, such as 500KB, 10MB, 2GB or 64MiB"
LARGEST = 1_000_000_000_000
"""Bytes; larger ones are slips of the finger."""

_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?([KMG]i?)?B")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_DECIMAL = ("G", "M", "K", "")


def parse_size(text: str) -> int:
    """Bytes of `text`, 0 or more. Raises ValueError that says what was expected."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected {EXPECTED}")
    whole, part, unit = found[1], found[2] or "", found[3] or ""
    size = int(whole + part) * _UNITS[unit] // int("1" + "0" * len(part))
    if size > LARGEST:
        raise ValueError("expected at most 1000GB")
    return size


def format_size(size: int) -> str:
    """`size` bytes in the largest unit, to a tenth: 10500000 is `10.5MB`, 999 is `999B`."""
    unit = next((unit for unit in _DECIMAL if size >= _UNITS[unit]), "")
    whole, tenth = divmod(round(size * 10 / _UNITS[unit]), 10)
    return f"{whole}.{tenth}{unit}B" if tenth else f"{whole}{unit}B"
