"""Has the agent said this before? Output is progress only when it is not a repeat.

A repeat is a line equal to one of the agent's last 200 once escapes, digits, hex and times are masked.
Lines printed while an attempt was starting stay repeats for the attempts after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

RECENT = 200
STARTUP = 400

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]"
)
_HEX = re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{6,}\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*")
# Braille, box spinners and the usual |/-\ wheel at a line's edge: a repaint, not news.
_SPINNER = re.compile(r"[\u2800-\u28ff◐◓◑◒◴◷◶◵✳✽✶✻✢·•⬝■□▪▫]+|(?<!\S)[|/\\-](?!\S)")
_SPACE = re.compile(r"\s+")


def strip_escapes(line: str) -> str:
    """The line without terminal escape sequences and control characters (tabs stay)."""
    return _ESCAPES.sub("", line)


def mask(line: str) -> str:
    """The line with everything that changes by itself taken out; empty when nothing is left."""
    line = strip_escapes(line)
    line = _HEX.sub("#", line)
    line = _DIGITS.sub("#", line)
    line = _SPINNER.sub("", line)
    return _SPACE.sub(" ", line).strip()


@dataclass(frozen=True, slots=True)
class Memory:
    """Hashes of masked lines, oldest first: the last 200 seen, and those of earlier start-ups."""

    recent: tuple[int, ...] = ()
    startup: tuple[int, ...] = ()


def _stable_hash(text: str) -> int:
    # Python's own hash is salted per process; this memory outlives the daemon.
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def learn(memory: Memory, lines: tuple[str, ...], *, starting: bool) -> tuple[int, Memory]:
    """(how many of the lines are news, the memory after them)."""
    seen = [_stable_hash(text) for line in lines[-RECENT:] if (text := mask(line[:2000]))]
    if not seen:
        return 0, memory
    known = set(memory.recent)
    known.update(memory.startup)
    fresh = len({h for h in seen if h not in known})
    order = dict.fromkeys(memory.recent)
    for h in seen:
        order.pop(h, None)
        order[h] = None
    recent = tuple(order)[-RECENT:]
    startup = memory.startup
    if starting:
        startup = tuple(dict.fromkeys((*startup, *seen)))[-STARTUP:]
    if recent == memory.recent and startup == memory.startup:
        return fresh, memory
    return fresh, Memory(recent, startup)


_ECHO = 16
_WORD = re.compile(r"\W+")


def without_echo(lines: tuple[str, ...], typed: tuple[str, ...]) -> tuple[str, ...]:
    """The lines that are not the echo (perhaps wrapped, or behind a prompt) of what was typed."""
    if not typed:
        return lines
    text = " ".join(_WORD.sub("", t) for t in typed)
    return tuple(line for line in lines if not _echoes(_WORD.sub("", strip_escapes(line)), text))


def _echoes(line: str, text: str) -> bool:
    if len(line) <= _ECHO:
        return bool(line) and line in text
    return any(line[i : i + _ECHO] in text for i in range(len(line) - _ECHO + 1))
