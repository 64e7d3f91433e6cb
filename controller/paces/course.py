"""The paces, in their order, and what came of each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...config.fleet import Profile
from ...config.profiles import LaunchError, can_resume, types_prompt
from ..ports import TerminalsError
from ..reports.catalogue import catalogue, resume_of
from ..scripted_model.requests import Asked
from ..terminals.screens import asks, shows
from .ground import AGENT, Ground, Trouble

Verdict = Literal["passed", "failed", "not possible"]
READY_WITHIN = 60.0
TURN_WITHIN = 60.0
REFUSED_WITHIN = 45.0
REST_WITHIN = 15.0
PAUSE = 3.0
"""Seconds that a turn is given to end before the next is begun."""
MARK = "Prüfung ✓ 試験 – erste Zeile"
LINES = f'{MARK}\n\tzweite Zeile: "quotes", $HOME, `ticks`, {{braces}}\nand a third — the last 🙂'
FILE, CONTENT = "written.txt", "grüße, 世界"


@dataclass(frozen=True, slots=True)
class Pace:
    """`seen`: what was seen, or why it is not possible with this CLI; not inert. `seconds` it took."""

    name: str
    verdict: Verdict
    seen: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 1)}


_Step = Callable[[Ground], tuple[Verdict, str]]


def paces(profile: Profile, environ: Mapping[str, str]) -> Generator[Pace, None, None]:
    """Put the profile's CLI through its paces; each as soon as it is over. Blocking, for minutes.

    Once the program is not there, or does not come up, the others are left out. Ends every process it
    started, also when it is closed early."""
    began = time.monotonic()
    (entry,) = catalogue({profile.name: profile}, environ)
    if entry.program is None:
        yield Pace("installed", "not possible", f"the profile {profile.name} has no command of its own", 0.0)
        return
    if entry.path is None:
        why = f"{entry.program} is not installed: there is no such program on PATH"
        yield Pace("installed", "failed", why, 0.0)
        return
    yield Pace("installed", "passed", f"version {entry.found or 'untold'}", time.monotonic() - began)
    local = profile.local_model
    if local is None:
        yield Pace("started", "not possible", "it cannot be pointed at a model server of ours", 0.0)
        return
    try:
        with Ground(profile, local, environ) as ground:
            yield from _course(ground)
    except (TerminalsError, OSError) as error:
        yield Pace("started", "failed", f"no place to try it could be made: {error}", 0.0)


def _course(ground: Ground) -> Generator[Pace, None, None]:
    steps: dict[str, _Step] = {
        "started": _started,
        "prompt": _prompted,
        "at rest": _rested,
        "file": _wrote,
        "killed": _killed,
        "resumed": _resumed,
        "refused": _refused,
    }
    for name, step in steps.items():
        began = time.monotonic()
        try:
            verdict, seen = step(ground)
        except (Trouble, TerminalsError, LaunchError, OSError) as error:
            verdict, seen = "failed", str(error)
        yield Pace(name, verdict, seen, time.monotonic() - began)
        if name == "started" and verdict != "passed":
            return


# -- the steps ----------------------------------------------------------------------------------


def _started(ground: Ground) -> tuple[Verdict, str]:
    began = time.monotonic()
    ground.start()
    _ready(ground)
    return "passed", f"ready after {time.monotonic() - began:.1f} s"


def _ready(ground: Ground) -> None:
    """Wait until it shows that it is ready, closing the dialogs that its profile knows."""
    profile = ground.seat.profile
    probe = re.compile(profile.ready.output) if profile.ready and profile.ready.output else None
    closed: set[str] = set()

    def ready() -> bool:
        lines = ground.screen()
        if rule := asks(profile.screens, lines):
            raise Trouble(f"its screen asks ({rule}): {ground.bottom()}")
        dialog = shows(profile.looked_for, lines, "dialog")
        for each in profile.dialogs:
            if each.name == dialog and dialog not in closed:
                closed.add(dialog)
                ground.terminals.keys(AGENT, each.keys)
        if ground.who is None or not ground.processes.alive(ground.who):
            raise Trouble(f"it ended: {ground.bottom()}")
        return not dialog and (probe is None or any(probe.search(line) for line in lines))

    if not ground.until(ready, READY_WITHIN):
        raise Trouble(f"not ready within {READY_WITHIN:g} s: {ground.bottom()}")


def _prompted(ground: Ground) -> tuple[Verdict, str]:
    ground.type(LINES)
    _asked(ground, "the prompt", lambda asked: _holds(asked, LINES))
    times = max(sum(_is(text, LINES) for text in asked.users) for asked in ground.model.requests.all())
    if times > 1:
        raise Trouble(f"the prompt stands {times} times in one conversation")
    return "passed", f"{len(LINES.splitlines())} lines with unicode arrived whole, and once"


def _rested(ground: Ground) -> tuple[Verdict, str]:
    """At rest after its turn, by the rules of its profile for the screen."""
    if not any(rule.phase == "idle" for rule in ground.seat.profile.screens):
        return "not possible", "its profile has no rule for a screen at rest"
    if not _at_rest(ground, REST_WITHIN):
        raise Trouble(f"no rule of its profile knew it at rest within {REST_WITHIN:g} s: {ground.bottom()}")
    return "passed", "its screen was known to be at rest"


def _wrote(ground: Ground) -> tuple[Verdict, str]:
    _at_rest(ground)
    ground.type(f"WRITE {FILE} {CONTENT}")
    place = ground.workspace / FILE

    def there() -> bool:
        try:
            return place.read_text(encoding="utf-8").strip() == CONTENT
        except (OSError, UnicodeDecodeError):
            return False

    if not ground.until(there, TURN_WITHIN):
        rule = asks(ground.seat.profile.screens, ground.screen())
        why = f"its screen asks ({rule})" if rule else "no file"
        raise Trouble(f"{why} within {TURN_WITHIN:g} s: {ground.bottom()}")
    return "passed", f"{FILE} holds what was asked for"


def _killed(ground: Ground) -> tuple[Verdict, str]:
    _at_rest(ground)
    ground.type("HANG")
    _asked(ground, "the prompt HANG", lambda asked: asked.answer == "HANG")
    return "passed", f"{ground.kill()} processes killed in the midst of a turn, none survived"


def _resumed(ground: Ground) -> tuple[Verdict, str]:
    profile = ground.seat.profile
    if not profile.resume_args:
        return "not possible", "it has no way to bring a conversation back"
    if not can_resume(ground.seat, ground.session):
        if resume_of(profile, hooks=False) == "none":
            return "not possible", "it mints its session ids, and its profile has no way to learn them"
        raise Trouble("its session id was not learned from its transcript")
    known = len(ground.model.requests.all())
    ground.start("RECALL", resume=True)
    if types_prompt(ground.seat, resume=True):
        _ready(ground)
        ground.type("RECALL")
    recalled = _asked(
        ground, "RECALL", lambda asked: asked.answer.startswith("text: You told me"), after=known
    )
    if not any(MARK in text for text in recalled.users):
        raise Trouble(f"the model was given {len(recalled.users)} messages, and not the first of before")
    again = sum(asked.answer == "HANG" for asked in ground.model.requests.all()[known:])
    rest = "; it ran the cut-off turn again" if again else ""
    return "passed", f"the model was given the earlier conversation again{rest}"


def _refused(ground: Ground) -> tuple[Verdict, str]:
    """Its own way to tell of a 401: on its screen, or in its transcript."""
    if ground.who is None:
        ground.start()
        _ready(ground)
    _at_rest(ground)
    ground.refused.clear()
    ground.type("E401")
    _asked(ground, "the prompt E401", lambda asked: asked.status == 401)

    def told() -> str:
        for error in ground.refused:
            if error.cause == "auth":
                return f"its transcript tells of it: {error.line}"
        verdict = ground.reader.look(ground.screen())
        if verdict.matched and verdict.matched.rule.cause == "auth":
            return f"its screen tells of it ({verdict.matched.rule.name}): {verdict.matched.line}"
        return ""

    if found := ground.until(told, REFUSED_WITHIN):
        return "passed", found
    raise Trouble(f"no rule of its profile knew it within {REFUSED_WITHIN:g} s: {ground.bottom()}")


# -- what is waited for -------------------------------------------------------------------------


def _asked(ground: Ground, what: str, wanted: Callable[[Asked], bool], after: int = 0) -> Asked:
    """The first request that is wanted, beyond the first `after`."""

    def found() -> Asked | None:
        return next((asked for asked in ground.model.requests.all()[after:] if wanted(asked)), None)

    asked = ground.until(found, TURN_WITHIN)
    if asked is None:
        raise Trouble(f"{what} did not reach the model within {TURN_WITHIN:g} s: {ground.bottom()}")
    return asked


def _holds(asked: Asked, text: str) -> bool:
    return any(_is(told, text) for told in asked.users)


def _is(told: str, text: str) -> bool:
    """Whether the lines stand in it. A tab may come as spaces, and lines may be indented."""
    lines = [" ".join(line.split()) for line in told.splitlines()]
    return all(any(" ".join(each.split()) in line for line in lines) for each in text.splitlines())


def _at_rest(ground: Ground, within: float = PAUSE) -> bool:
    """Wait until its screen is at rest; False when no rule of its profile knew it so in time."""
    rules = ground.seat.profile.screens

    def rests() -> bool:
        lines = ground.screen()
        return not shows(rules, lines, "busy") and bool(shows(rules, lines, "idle"))

    return bool(ground.until(rests, within))
