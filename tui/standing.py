"""How the screen stands to its fleet: not yet seen, not to be read, without a daemon, read-only. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .feed import Snapshot
from .tones import Tone

KEY = "D"
"""The key that starts the daemon; a test compares it with the key table."""
PATIENCE = 1.0
"""Seconds after which a wait is told with its length."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of the banner: a badge, and what is so and what to do, the most needful first."""

    badge: str
    words: str
    tone: Tone = Tone.BAD
    key: bool = False
    """Whether a click on it does what the key does."""


def is_loading(seen: Snapshot) -> bool:
    """No look has come back yet."""
    return not seen.fleet.name and not seen.fault


def notices(seen: Snapshot, starting: float | None = None, waited: float = 0.0) -> tuple[Notice, ...]:
    """What the banner says, the gravest first. `starting`: seconds since the daemon was asked to start, None:
    it was not; `waited`: seconds since the screen was opened."""
    return tuple(_notices(seen, starting, waited))


def _notices(seen: Snapshot, starting: float | None, waited: float) -> Iterator[Notice]:
    if is_loading(seen):
        if waited >= PATIENCE:
            words = f"reading the ledger for {waited:.0f} s; a large or busy one takes a while. q leaves"
            yield Notice("LOADING", words, Tone.BUSY)
        return
    if seen.fault:
        yield Notice("FAULT", f"{seen.fault}; trying again. `hhmrs doctor` looks for the cause")
    if starting is not None:
        yield Notice("STARTING", f"the daemon is being started, {starting:.0f} s", Tone.BUSY)
    elif seen.fleet.frozen is not None:
        words = (
            f"{KEY} lets it go on, or `kill -CONT {seen.fleet.frozen}`: its process is stopped, nobody heals"
        )
        yield Notice("DAEMON STOPPED", words, key=True)
    elif not seen.fleet.up and seen.fleet.name:
        words = f"{KEY} starts one, or `hhmrs up`: this is the last known state, nobody heals it now"
        yield Notice("NO DAEMON", words, key=True)
    if seen.locked:
        yield Notice("READ ONLY", seen.locked, Tone.LIMIT)
    for flaw in seen.flaws[:1]:
        more = f" (and {len(seen.flaws) - 1} more: `hhmrs check`)" if len(seen.flaws) > 1 else ""
        rest = "the last good one stays in force" if seen.spec is not None else "the screen knows less for it"
        place, colon, what = flaw.partition(": ")
        named = place.rpartition("/")[2]  # its folder would take the room of what is wrong in it
        yield Notice("FLEET FILE", f"{named}{colon}{what}{more}; {rest}", Tone.LIMIT)


def start_why_not(seen: Snapshot) -> str | None:
    """Why no daemon can be started now."""
    if is_loading(seen):
        return "the fleet is not known yet"
    if seen.fleet.up and seen.fleet.frozen is None:
        return "the daemon runs"
    if seen.locked:
        return seen.locked
    if seen.flaws and seen.fleet.frozen is None:
        return f"no daemon starts by a broken fleet file: {seen.flaws[0]}"
    return None


def empty_lines(seen: Snapshot) -> tuple[str, ...]:
    """What stands in place of the agents while there are none."""
    if is_loading(seen):
        return ("reading the fleet ...",)
    if seen.fault and not seen.fleet.name:
        return ("the fleet could not be read yet; the line above says why",)
    where = str(seen.spec.path) if seen.spec is not None else "its fleet file"
    return ("this fleet has no agents", f"write some under `agents:` in {where}", "`hhmrs check` judges it")
