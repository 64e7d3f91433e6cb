"""Puts a question to an ancestor agent: a JSON file in `alerts/` of its inbox folder, and a line in its pane.

The file is what counts; the line only says that it is there, in words of ours that no shell takes for more
than a command it does not know. What is told of the child is hostile text, inert and cut.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...config.fleet import AgentSpec, FleetSpec
from ...config.paths import StateDir
from ...healing import evidence as e
from ...healing.actions import AlertAncestor
from ...healing.agent import AgentState, Attempt
from ...healing.detect import ages
from ...healing.hierarchy import is_able
from ...healing.seats import seat_of
from ..letters.letterforms import clean
from ..letters.maildir import Opened
from ..ports import Clock, Emit, Terminals, TerminalsError
from ..terminals.screens import shows
from ..timestamps import to_iso

log = logging.getLogger(__name__)

FOLDER = "alerts"
KEPT = 50
"""Alerts that lie in one agent's folder; the oldest go."""
MOST_TEXT = 2_000
MOST_ATTEMPTS = 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Alerts:
    """Blocking. `states` tells what is known of an agent; `hands_off` why no key may be pressed in its pane
    now, empty when it may (and raises TerminalsError)."""

    state_dir: StateDir
    terminals: Terminals
    clock: Clock
    emit: Emit
    states: Callable[[str], AgentState | None]
    hands_off: Callable[[AgentSpec, AgentState], str]

    def put(self, action: AlertAncestor, child: AgentState, fleet: FleetSpec) -> None:
        """Write the alert and say that it is there; once, however often it is asked for. That nothing could
        be typed is no fault. Raises OSError when the file cannot be written."""
        document = told(action, child, fleet, self.clock.now())
        if self._write(action, document):
            self._type(action, document, fleet)

    def _write(self, action: AlertAncestor, document: Mapping[str, Any]) -> bool:
        """Whether it was not there yet. The agent owns the folder: links in its place are not followed."""
        name = f"{action.incident}-{action.n}.json"
        with Opened(self.state_dir.inbox_of(action.ancestor)) as inbox:
            try:
                os.mkdir(FOLDER, 0o700, dir_fd=inbox.fd)
            except FileExistsError:
                pass
            fd = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inbox.fd)
        try:
            if _is_there(fd, name):
                return False
            _place(fd, name, json.dumps(document, indent=1).encode("ascii"))
            _prune(fd)
        finally:
            os.close(fd)
        return True

    def _type(self, action: AlertAncestor, document: Mapping[str, Any], fleet: FleetSpec) -> None:
        state, spec = self.states(action.ancestor), fleet.agents.get(action.ancestor)
        if state is None or spec is None or not is_able(state):
            return
        line = in_a_line(document)
        try:
            profile = seat_of(state, spec).profile
            dialog = profile.dialogs and shows(
                profile.looked_for, self.terminals.capture(action.ancestor), "dialog"
            )
            if dialog or self.hands_off(spec, state):
                return
            # Known before it is typed: the echo must never be taken for the agent's own words.
            self.emit(e.Typed(action.ancestor, self.clock.now(), line, answers=False))
            self.terminals.paste(action.ancestor, line)
        except TerminalsError as error:
            log.info("agent %s: its alert lies in the inbox, and is not typed: %s", action.ancestor, error)


def told(action: AlertAncestor, child: AgentState, fleet: FleetSpec, now: float) -> dict[str, Any]:
    """The document of an alert: JSON values, every text inert and bounded (docs/concepts.md, "Levels")."""
    spec, incident = fleet.agents[child.id], child.incident
    policy = spec.policy
    known = incident is not None and incident.id == action.incident
    attempts = incident.attempts[-MOST_ATTEMPTS:] if incident and known else ()
    return {
        "version": 1,
        "kind": "alert",
        "fleet": fleet.fleet,
        "to": action.ancestor,
        "incident": action.incident,
        "n": action.n,
        "level": action.level,
        "child": child.id,
        "title": clean(spec.title, 64),
        "phase": child.phase.value,
        "attempt": child.attempt,
        "symptom": incident.symptom if incident and known else "unknown",
        "cause": incident.cause if incident and known else "unknown",
        "detail": clean(incident.detail, MOST_TEXT) if incident and known else "",
        "opened": to_iso(incident.opened) if incident and known else None,
        "task": clean(child.task.text, MOST_TEXT) if child.task else None,
        "attempts": [_tried(attempt) for attempt in attempts],
        "restarts": {"used": child.restarts, "of": policy.max_restarts},
        "reassigns": {"used": child.reassigns, "of": policy.max_llm_retries},
        "evidence_s": {
            k: None if age is None else round(age, 3) for k, age in ages(child.trace, now).items()
        },
        "options": list(action.options),
        "otherwise": action.otherwise,
        "asked_at": to_iso(now),
        "until": to_iso(action.until),
        "within_s": round(max(0.0, action.until - now), 3),
        "answer": {"kind": "decide", "incident": action.incident, "strategy": " | ".join(action.options)},
    }


def in_a_line(document: Mapping[str, Any]) -> str:
    """What is typed: ids and words of ours alone, and nothing that a shell would act upon."""
    incident, options = document["incident"], ", ".join(document["options"])
    return (
        f"HHMRS alert: {document['child']} is {document['phase']}, cause {document['cause']}, incident "
        f"{incident}. You may choose {options} within {document['within_s']:.0f} s by: hhmrs decide "
        f"{incident} STRATEGY. Otherwise the policy does {document['otherwise']}. More in "
        f"{FOLDER}/{incident}-{document['n']}.json of your inbox folder."
    )


def _tried(attempt: Attempt) -> dict[str, Any]:
    return {
        "n": attempt.n,
        "strategy": attempt.strategy.value,
        "at": to_iso(attempt.at),
        "outcome": attempt.outcome,
        "why": clean(attempt.why, MOST_TEXT // 4),
    }


def _is_there(folder: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _place(folder: int, name: str, content: bytes) -> None:
    draft = f".{name}.{os.urandom(4).hex()}"
    try:
        with os.fdopen(os.open(draft, _NEW_FILE, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        try:
            os.unlink(draft, dir_fd=folder)
        except FileNotFoundError:
            pass
        raise


def _prune(folder: int) -> None:
    """Take away the oldest; whatever else the agent put there, it may keep within the same number."""
    found: list[tuple[int, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(seen.st_mode):
                found.append((seen.st_mtime_ns, entry.name))
    for _, name in sorted(found)[:-KEPT]:
        try:
            os.unlink(name, dir_fd=folder)
        except OSError as why:
            log.info("cannot take away the old alert %s: %s", name, why)
