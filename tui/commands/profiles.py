"""`profiles`: the agent CLIs that are known here, which of them are installed, and what each can do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import find_place
from .refusal import NoFleetFile, Refusal, usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...config.fleet import Profile
    from ...controller.paces.course import Pace
    from ...controller.reports.catalogue import Entry

LISTED, TESTED = "list", "test"
_WIDE = {"about": 16, "version": 21, "found": 10}


def profiles(call: Call, screen: Screen) -> int:
    """`profiles [list]`, and `profiles test NAME`."""
    what, name = call.get("what") or LISTED, call.get("name")
    if what == LISTED:
        if name is not None:
            raise usage(f"{PROGRAM} profiles: `{LISTED}` takes no name")
        return _listed(call, screen)
    if what == TESTED:
        if name is None:
            raise usage(
                f"{PROGRAM} profiles {TESTED} wants the name of a profile", f"see `{PROGRAM} profiles`"
            )
        return _tested(call, screen, name)
    near = f"expected {LISTED} or {TESTED} NAME"
    raise usage(f"{PROGRAM} profiles: unknown word {inert(what, 60)!r}, {near}")


def known_profiles(call: Call) -> tuple[Mapping[str, Profile], str]:
    """All that an agent could name here, and a word about a fleet file that cannot be read. A file that was
    named must be valid, one that was merely found may be broken."""
    from ...config.problems import ConfigError
    from ...config.profiles import builtin_profiles

    try:
        return find_place(call).need_spec().profiles, ""
    except (Refusal, ConfigError) as no:
        if call.get("config") is not None or call.get("fleet") is not None:
            raise
        word = "" if isinstance(no, NoFleetFile) else f"the fleet file is left out, see `{PROGRAM} check`"
        return builtin_profiles(), word


def _listed(call: Call, screen: Screen) -> int:
    from ...controller.reports.catalogue import catalogue

    known, word = known_profiles(call)
    found = catalogue(known, dict(os.environ), hooked(known))
    if call.json:
        screen.document({"profiles": [entry.as_json() for entry in found]})
        return 0
    lines = screen.columns([["PROFILE", "WHAT", "CHECKED", "HERE", "RESUME", "HOOKS"], *map(_row, found)])
    screen.say(screen.style(lines[0], "quiet"))
    for line in lines[1:]:
        screen.say(line)
    screen.say()
    screen.say(screen.style("acts without asking when its command has", "quiet"))
    for line in screen.columns([[inert(entry.name, 32), _autonomy(entry)] for entry in found]):
        screen.say(line)
    screen.say()
    for line in _notes(found, word):
        screen.say(line)
    return 0


def _tested(call: Call, screen: Screen, name: str) -> int:
    """Each pace is told as it is over; 1 when one failed."""
    from contextlib import closing

    from ...controller.paces.course import paces

    known, _ = known_profiles(call)
    profile = known.get(name)
    if profile is None:
        names = ", ".join(sorted(known))
        raise usage(f"{PROGRAM} profiles {TESTED}: unknown profile {inert(name, 60)!r}", f"there are {names}")
    told: list[Pace] = []
    with closing(paces(profile, dict(os.environ))) as going:
        for pace in going:
            told.append(pace)
            if not call.json:
                _tell(screen, name, pace)
    failed = any(pace.verdict == "failed" for pace in told)
    if call.json:
        document = {"profile": name, "passed": not failed, "paces": [pace.as_json() for pace in told]}
        screen.document(document)
    return 1 if failed else 0


def _tell(screen: Screen, name: str, pace: Pace) -> None:
    if pace.name == "installed":
        if pace.verdict != "passed":
            screen.say(inert(pace.seen, 300))
            return
        screen.say(f"{inert(name, 60)}, in a HOME of its own and against a scripted model:")
    style = {"passed": "good", "failed": "bad", "not possible": "quiet"}[pace.verdict]
    verdict = screen.style(f"{pace.verdict:<12}", style)
    screen.say(f"  {pace.name:<9}  {verdict}  {pace.seconds:5.1f} s  {inert(pace.seen, 300)}")
    screen.flush()


def hooked(known: Mapping[str, Profile]) -> list[str]:
    """The profiles whose own hooks can be wired to the inbox."""
    from ...controller.hooks.table import KINDS

    wired = {name for name, kind in KINDS.items() if kind.place is not None}
    return [name for name, profile in known.items() if profile.hooks in wired]


def _row(entry: Entry) -> list[str]:
    checked = f"{entry.checked} {entry.version or ''}".strip()
    here = "-" if entry.path is None else entry.found or "yes"
    return [
        _marked(entry),
        _cut(entry.about.partition(",")[0].removesuffix(" CLI") or "-", _WIDE["about"]),
        _cut(checked if entry.program else "-", _WIDE["version"]),
        _cut(here if entry.program else "any", _WIDE["found"]),
        entry.resume,
        "yes" if entry.hooks else "-",
    ]


def _marked(entry: Entry) -> str:
    mark = {"built-in": "", "changed": "*", "fleet file": "*"}[entry.source]
    return _cut(entry.name, 32) + mark


def _cut(text: str, most: int) -> str:
    clean = inert(text, 200)
    return clean if len(clean) <= most else clean[: most - 3].rstrip() + "..."


def _autonomy(entry: Entry) -> str:
    if not entry.program:
        return "-"
    return _cut(" or ".join(entry.autonomy[:2]), 66) if entry.autonomy else "no flag of its own"


def _notes(found: list[Entry], word: str) -> list[str]:
    notes = [
        "verified: run here in that version; documented: from its documents, never run.",
        "HERE is what its program on PATH says of itself. RESUME tells how a conversation",
        "comes back: under an id of ours; by its own, which is discovered, or which its",
        "hooks tell; the newest of the folder; none: it starts anew, with the handoff.",
    ]
    if any(entry.source != "built-in" for entry in found):
        notes.append("* from the fleet file, or changed there.")
    return [*notes, *([inert(word)] if word else [])]
