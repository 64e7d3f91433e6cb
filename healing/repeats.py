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


class _Known:
    """Lines whose hash was worked out before: a screen shows most of its lines again at the next look.

    Bounded: what was not asked for among the last GENERATION to twice as many other lines is forgotten."""

    def __init__(self) -> None:
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def hash_of(self, line: str) -> int:
        """The stable hash of the masked line; 0 when nothing is left of it."""
        key = hash(line)  # salted, and 64 bits wide: nobody can make two lines meet
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                text = mask(line[:2000])
                found = _stable_hash(text) if text else 0
            if len(self._young) >= GENERATION:
                self._old, self._young = self._young, {}
            self._young[key] = found
        return found


GENERATION = 32_768
_KNOWN = _Known()


def hashed(lines: tuple[str, ...]) -> tuple[int, ...]:
    """The masked lines as hashes that outlive the daemon; lines of which nothing is left are passed over."""
    return tuple(known for line in lines[-RECENT:] if (known := _KNOWN.hash_of(line)))


def learn(memory: Memory, seen: tuple[int, ...], *, starting: bool) -> tuple[int, Memory]:
    """(how many of the lines are news, the memory after them). `seen`: see `hashed`."""
    if not seen:
        return 0, memory
    last = tuple(dict.fromkeys(seen))
    if not starting and last == memory.recent[-len(last) :]:
        return 0, memory  # the same screen again
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


def more_of_them(memory: Memory, seen: tuple[int, ...], already: int) -> int:
    """How many different lines of `seen` are not among the `already` newest lines of the memory before it."""
    return len(set(seen).difference(memory.recent[-already:] if already else ()))


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
