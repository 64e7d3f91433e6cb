"""comms.log: who told whom what, one line each: `TIME|FROM|TO|TYPE|text`."""

from __future__ import annotations

import logging
import os
import threading
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ...healing.agent import Happening
from ...healing.hierarchy import above
from ...healing.masking import mask_secrets
from ..timestamps import to_iso

log = logging.getLogger(__name__)

TYPES = frozenset({"CMD", "STATUS", "HEARTBEAT", "RESPONSE"})
TEXT_LIMIT = 4000
NAME_LIMIT = 80
SIZE_LIMIT = 5_000_000
TRON = "TRON"
PERSON = "OPERATOR"
Line: TypeAlias = tuple[str, str, str, str]
"""(sender, to, type, text)"""

_NAMED = {"\\": "\\\\", "|": "\\x7c", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def comms_line(at: float, sender: str, to: str, kind: str, text: str) -> str:
    """One line without its newline; always five fields; UTC. `kind` is one of TYPES, else ValueError."""
    if kind not in TYPES:
        raise ValueError(f"unknown type {kind!r}; there are {', '.join(sorted(TYPES))}")
    stamp = to_iso(at).removesuffix("Z")
    return "|".join(
        (stamp, one_line(sender, NAME_LIMIT), one_line(to, NAME_LIMIT), kind, one_line(text, TEXT_LIMIT))
    )


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Without line breaks, separators or anything a terminal would obey; cut to `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(_escaped(c) for c in cut)


def _escaped(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    if char >= " " and char.isprintable():
        return char
    # Control and format characters, among them those that turn the direction of writing, and half surrogates.
    if unicodedata.category(char) == "Zs":
        return " "
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class CommsLog:
    """Appends lines; thread-safe. At `max_bytes` the file becomes comms.log.1, replacing the one before."""

    def __init__(self, path: Path, max_bytes: int = SIZE_LIMIT) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._failed = False

    def write(self, at: float, sender: str, to: str, kind: str, text: str) -> None:
        """Append one line. A disk that takes none stops nothing: it is said once in the daemon's log."""
        line = comms_line(at, sender, to, kind, mask_secrets(text)).encode() + b"\n"
        with self._lock:
            try:
                self._append(line)
                self._failed = False
            except OSError as exc:
                if not self._failed:
                    log.warning(
                        "cannot write %s: %s; the lines are missing there until it works again",
                        self.path,
                        exc,
                    )
                self._failed = True

    def _append(self, line: bytes) -> None:
        try:
            full = self.path.lstat().st_size + len(line) > self._max_bytes
        except FileNotFoundError:
            full = False
        if full:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self.path, flags, 0o600)
        try:
            os.fchmod(fd, 0o600)
            os.write(fd, line)
        finally:
            os.close(fd)


def comms_for(
    happening: Happening,
    titles: Mapping[str, str],
    parents: Mapping[str, str | None],
    living: Callable[[str], bool] = lambda _: True,
) -> list[Line]:
    """The lines a happening leads to, if any; agents by their titles, a missing parent is the operator.

    In place of a parent or grandparent that is not `living` the nearest one above it stands, and a line that
    is its business says so."""
    rule = _RULES.get(happening.type)
    if rule is None:
        return []
    scene = _Scene(happening, titles, parents, living)
    lines = rule(scene)
    stands = scene.stands_for()
    return [(sender, to, kind, text + stands) for sender, to, kind, text in lines] if stands else lines


class _Scene:
    """A happening with the names of everybody in it."""

    def __init__(
        self,
        happening: Happening,
        titles: Mapping[str, str],
        parents: Mapping[str, str | None],
        living: Callable[[str], bool],
    ) -> None:
        self.type = happening.type
        self.fields: Mapping[str, Any] = happening.fields
        self._titles = titles
        self._above = above(happening.agent, parents, living)
        parent, grandparent = self._above.first, self._above.second
        self.agent = titles.get(happening.agent, happening.agent) or "fleet"
        self.parent = titles.get(parent, parent) if parent else PERSON
        self.grandparent = titles.get(grandparent, grandparent) if grandparent else PERSON
        # Whoever is responsible acts; above the top level that is the policy, and TRON carries it out.
        self.superior = self.parent if parent else TRON
        self.second = self.grandparent if grandparent else TRON

    def title(self, agent: str) -> str:
        return self._titles.get(agent, agent) or PERSON

    def stands_for(self) -> str:
        """Behind a line: in whose place the one answers whose business it is."""
        second = self.type == "hhmrs_reassign" or self.text("level_to") == "2"
        gone = self._above.for_second if second else self._above.for_first
        if not gone or self.type not in _LEVELS:
            return ""
        return f" (in place of {', '.join(map(self.title, gone))}, gone)"

    def text(self, name: str, otherwise: str = "") -> str:
        value = self.fields.get(name)
        return otherwise if value is None or value == "" else str(value)

    def label(self, which: str) -> str:
        """`profile:model`, or the profile alone."""
        profile, model = self.text(f"{which}_profile", "unknown"), self.text(f"{which}_model")
        return f"{profile}:{model}" if model else profile


def _timeout(s: _Scene) -> list[Line]:
    reason = f"{s.text('reason', s.text('symptom', 'silent'))}; restart_count={s.text('restart_count', '0')}"
    return [
        (
            TRON,
            s.parent,
            "STATUS",
            f"Child timeout: {s.agent} ({reason})",
        )
    ]


def _incident(s: _Scene) -> list[Line]:
    # A time-out has a line of its own, and an order is no alert.
    if s.text("symptom") in ("stalled", "looping", "deadline", "ordered"):
        return []
    detail = s.text("detail")
    words = f"{s.text('symptom')}, cause {s.text('cause', 'unknown')}" + (f": {detail}" if detail else "")
    return [(TRON, s.parent, "STATUS", f"Alert: {s.agent} {words}")]


def _strategy(s: _Scene) -> list[Line]:
    verb = {"hhmrs_nudge": "Nudging", "hhmrs_resume": "Resuming", "hhmrs_restart": "Restarting"}[s.type]
    reason = s.text("reason", s.text("cause", "no reason given"))
    steps = s.fields.get("steps")
    made_of = f"; steps: {', '.join(map(str, steps))}" if isinstance(steps, list) and steps else ""
    return [(s.superior, s.agent, "CMD", f"{verb} {s.agent} (attempt {s.text('n', '1')}): {reason}{made_of}")]


def _nudge_step(s: _Scene) -> list[Line]:
    done = "done" if s.fields.get("ok") else "not done"
    look = " at the quick look" if s.fields.get("gentle") else ""
    return [(TRON, s.agent, "CMD", f"Nudge {s.agent}{look}, {s.text('step')} {done}: {s.text('why', '-')}")]


def _reassign(s: _Scene) -> list[Line]:
    return [
        (
            s.second,
            s.agent,
            "CMD",
            f"Retrying {s.agent} with different LLM: {s.label('old')} -> {s.label('new')}",
        )
    ]


def _more_time(s: _Scene) -> list[Line]:
    return [(s.second, s.agent, "CMD", f"More time for {s.agent}: {s.text('reason')}")]


def _escalation(s: _Scene) -> list[Line]:
    reason = s.text("reason")
    if s.text("level_to") == "2":
        line = f"Grandchild escalation: {s.agent} (failure_count={s.text('failure_count', '0')})"
        sender = s.superior if s.superior != s.grandparent else TRON
        return [(sender, s.grandparent, "CMD", line)]
    return [(s.second, PERSON, "CMD", f"Escalation to a person: {s.agent} ({reason})")]


def _failure(s: _Scene) -> list[Line]:
    return [
        (
            TRON,
            PERSON,
            "STATUS",
            f"Permanent failure: {s.agent} ({s.text('reason', 'the last level is spent')})",
        )
    ]


def _asks(s: _Scene) -> list[Line]:
    options = s.fields.get("options")
    words = ", ".join(map(str, options)) if isinstance(options, list | tuple) else "?"
    text = f"Decide for {s.agent}: {s.text('symptom')}, cause {s.text('cause')}; {words}"
    after = f"; otherwise {s.text('otherwise')} in {s.text('within')} s"
    return [(TRON, s.title(s.text("decider")), "CMD", text + after)]


def _decided(s: _Scene) -> list[Line]:
    return [(s.title(s.text("by")), TRON, "RESPONSE", f"Decided for {s.agent}: {s.text('strategy')}")]


def _no_decision(s: _Scene) -> list[Line]:
    if s.type == "agent_decision_refused":
        text = f"Refused: {s.text('strategy')} for {s.agent}: {s.text('why')}"
        return [(TRON, s.title(s.text("by")), "RESPONSE", text)]
    text = f"The policy decides for {s.agent}: {s.text('why')}"
    return [(TRON, s.title(s.text("decider")), "STATUS", text)]


def _recovered(s: _Scene) -> list[Line]:
    text = f"Recovered by {s.text('strategy', 'start')} in {s.text('seconds', '?')} s: {s.text('proof')}"
    return [(s.agent, s.parent, "RESPONSE", text)]


def _attempt_failed(s: _Scene) -> list[Line]:
    text = f"Attempt {s.text('n', '?')} to {s.text('strategy', 'recover')} {s.agent} failed: {s.text('why')}"
    return [(TRON, s.parent, "STATUS", text)]


def _cascade(s: _Scene) -> list[Line]:
    agents = s.fields.get("agents")
    count = len(agents) if isinstance(agents, list | tuple) else s.text("count", "several")
    over = "over" if s.fields.get("over") else f"{count} agents, cause {s.text('cause', 'unknown')}"
    return [(TRON, PERSON, "STATUS", f"Cascade: {over}")]


def _order(s: _Scene) -> list[Line]:
    return [(s.text("by", PERSON), s.agent, "CMD", f"Order: {s.text('order')}")]


def _outcome(s: _Scene) -> list[Line]:
    done = "done" if s.fields.get("ok") else "refused or failed"
    # A pass over the fleet answers with a page; the ledger has all of it, here it would be one endless line.
    first, *more = s.text("message").splitlines() or [""]
    told = first + (f" (and {len(more)} more lines, see its event)" if more else "")
    return [(TRON, PERSON, "RESPONSE", f"Order {s.text('order')} for {s.agent} {done}: {told}")]


def _closed(s: _Scene) -> list[Line]:
    words = {"self": "came back by itself", "cleared": "cleared"}.get(s.text("outcome"))
    return [(TRON, s.parent, "STATUS", f"Incident of {s.agent} over: {words}")] if words else []


def _said(kind: str, to: str, words: str, field: str) -> Callable[[_Scene], list[Line]]:
    def rule(s: _Scene) -> list[Line]:
        sender, receiver = (s.parent, s.agent) if to == "agent" else (s.agent, s.parent)
        return [(sender, receiver, kind, f"{words}: {s.text(field)}" if s.text(field) else words)]

    return rule


_LEVELS = frozenset(
    {
        "hhmrs_timeout",
        "hhmrs_nudge",
        "hhmrs_resume",
        "hhmrs_restart",
        "hhmrs_reassign",
        "hhmrs_escalation",
        "agent_incident",
        "agent_attempt_failed",
    }
)
"""What is the business of a level, so that a line about it says who stands in for whom."""

_RULES: dict[str, Callable[[_Scene], list[Line]]] = {
    "hhmrs_timeout": _timeout,
    "hhmrs_nudge": _strategy,
    "agent_nudge_step": _nudge_step,
    "hhmrs_resume": _strategy,
    "hhmrs_restart": _strategy,
    "hhmrs_reassign": _reassign,
    "agent_timeouts_raised": _more_time,
    "hhmrs_escalation": _escalation,
    "hhmrs_failure": _failure,
    "hhmrs_recovered": _recovered,
    "hhmrs_cascade": _cascade,
    "agent_incident": _incident,
    "agent_incident_closed": _closed,
    "agent_attempt_failed": _attempt_failed,
    "agent_decider_asked": _asks,
    "agent_decided": _decided,
    "agent_decision_refused": _no_decision,
    "agent_decider_silent": _no_decision,
    "agent_started": _said("STATUS", "parent", "Started, attempt", "attempt"),
    "agent_done": _said("RESPONSE", "parent", "Done", "why"),
    "agent_asked": _said("CMD", "parent", "Question", "question"),
    "task_opened": _said("CMD", "agent", "Task", "text"),
    "task_failed": _said("RESPONSE", "parent", "Task failed", "why"),
    "operator_order": _order,
    "operator_outcome": _outcome,
}
