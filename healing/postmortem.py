"""The post-mortem of one incident, in Markdown. Pure: what the book says in, a page out.

Everything on it that an agent, a screen or a file said is a quotation: inert, bounded, without secrets. The
lessons are rules over the figures (lessons.py); nobody is asked for an opinion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config.fleet import Policy
from .markdown import cell, fenced, line

ROWS = 120
"""Events of the timeline at most: as many from its beginning as from its end."""
_DIFF = 16_000
_TASK = 2_000
_FIELD = 300
_QUOTED = 3
_SAYS = 2_500
_TELLING = ("reason", "why", "proof", "detail", "message", "question", "outcome")
_KNOWN = frozenset({*_TELLING, "symptom", "cause", "parent", "grandparent", "task", "n", "strategy", "letter",
                    "restart_count", "failure_count", "detected_after_s", "since"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One event. `after`: seconds since the incident opened (negative: before it)."""

    at: str
    after: float
    type: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt. `at`, `ended`: seconds since the incident opened; `ended` None while it is pending."""

    n: int
    strategy: str
    at: float
    ended: float | None
    outcome: str
    why: str
    seat: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one incident.

    `lasted`, `recovered`, `escalated`: seconds since it opened, None as long as it is not so. `record`:
    strategy -> (proved, ended) of all attempts of this fleet for this cause. `pauses`: the 99th percentile
    of the agent's own pauses (s), 0 when too few are known. `policy` None: the fleet file is gone."""

    id: str
    agent: str
    parent: str | None
    symptom: str
    cause: str
    detail: str
    opened: str
    outcome: str | None = None
    closed: str | None = None
    lasted: float | None = None
    recovered: float | None = None
    escalated: float | None = None
    unnoticed: float | None = None
    task: str | None = None
    text: str = ""
    events: tuple[Told, ...] = ()
    tries: tuple[Try, ...] = ()
    record: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    changes: str = ""
    diff: str = ""
    policy: Policy | None = None
    alternates: int = 0
    pauses: float = 0.0
    observed: bool = False
    spent: str = ""
    """What its transcripts tell of tokens and cost until now, in words; "" where they do not."""


def post_mortem(case: Case, lessons: Sequence[str]) -> str:
    """The page; ends with a newline."""
    parts = [
        f"# Post-mortem: incident {line(case.id)}",
        _head(case),
        "## Timeline\n\n" + _timeline(case.events),
        "## Evidence\n\n" + "\n".join(f"- {each}" for each in _evidence(case)) + _last_words(case),
        "## Cause\n\n" + _cause(case),
        "## Attempts\n\n" + _tries(case.tries),
        "## Workspace diff\n\n" + _changes(case),
        "## Lessons\n\n" + ("\n".join(f"- {each}" for each in lessons) or "None that arithmetic could draw."),
    ]
    return "\n\n".join(parts) + "\n"


def _head(case: Case) -> str:
    rows = [
        ("agent", case.agent + (f" (parent {case.parent})" if case.parent else "")),
        ("task", case.task or "none was open"),
        ("opened", case.opened),
        ("over", f"{case.closed}, after {case.lasted or 0:.1f} s" if case.closed else "still open"),
        ("outcome", _outcome(case)),
        *([("spent until now", case.spent)] if case.spent else ()),
        *([("to do", _to_do(case))] if case.escalated is not None and case.closed is None else ()),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {cell(value, 300)} |" for name, value in rows)]
    asked = "\n\nWhat was asked:\n" + fenced(case.text, _TASK) if case.text.strip() else ""
    return "\n".join(lines) + asked


def _to_do(case: Case) -> str:
    again = f"hhmrs retry {case.task}" if case.task else f"hhmrs restart {case.agent}"
    look = f"look: hhmrs explain {case.agent}, hhmrs logs {case.agent}"
    go_on = f"supervised again, and started if it has ended: hhmrs clear {case.agent}"
    return f"{look}; then tried again, to be proved: {again}; or {go_on}"


def _outcome(case: Case) -> str:
    if case.escalated is not None:
        after = f"given up after {case.escalated:.1f} s: a person is needed"
        return after if case.closed is None else f"{after}; {case.outcome or 'cleared'} since"
    if case.recovered is not None:
        return f"recovered after {case.recovered:.1f} s, by its own progress"
    words = {None: "open", "self": "it came back by itself", "cleared": "cleared by a person"}
    return words.get(case.outcome, str(case.outcome))


def _timeline(events: Sequence[Told]) -> str:
    if not events:
        return "Nothing is written down."
    half = ROWS // 2
    cut = len(events) > ROWS
    shown = [*events[:half], *events[-half:]] if cut else list(events)
    rows = [f"| {e.after:+.1f} s | {cell(e.at)} | {cell(e.type)} | {cell(_words(e), 240)} |" for e in shown]
    if cut:
        rows.insert(half, f"| | | | {len(events) - ROWS} more, see `hhmrs events` |")
    return "\n".join(["| when | at (UTC) | event | what |", "|---:|---|---|---|", *rows])


def _asked(fields: Mapping[str, Any]) -> str:
    options = fields.get("options")
    named = ", ".join(map(str, options)) if isinstance(options, Sequence) else ""
    return f"{fields.get('decider')} is asked: {named}; otherwise {fields.get('otherwise')}"


_SAID: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "agent_started": lambda fields: f"attempt {fields.get('attempt')} on {_seat(fields, '')}",
    "checkpoint_stored": lambda fields: f"number {fields.get('checkpoint')}, by {fields.get('by')}",
    "agent_decider_asked": _asked,
}
"""Events that say nothing of themselves in the usual fields."""


def _words(told: Told) -> str:
    fields = told.fields
    if told.type == "agent_phase":
        said = f"{fields.get('from')} to {fields.get('to')}"
    else:
        number = f" {fields['n']}" if fields.get("n") else ""
        strategy = fields.get("strategy")
        said = f"attempt{number}, {strategy}" if strategy else ""
    if told.type in _SAID:
        said = _SAID[told.type](fields)
    if told.type == "hhmrs_reassign":
        said += f": {_seat(fields, 'old')} to {_seat(fields, 'new')}"
    if told.type == "agent_exited":
        by = "status" if fields.get("status") is not None else "signal"
        said = f"{by} {fields.get(by)}: {fields.get('cause')}"
    why = next((str(fields[name]) for name in _TELLING if fields.get(name)), "")
    return ": ".join(part for part in (said, why) if part)


def _seat(fields: Mapping[str, Any], which: str) -> str:
    before = f"{which}_" if which else ""
    profile, model = fields.get(f"{before}profile"), fields.get(f"{before}model")
    return f"{profile}:{model}" if model else str(profile)


def _evidence(case: Case) -> Iterable[str]:
    yield f"symptom {line(case.symptom)}: {line(case.detail) or 'no words'}"
    if case.unnoticed is not None:
        yield f"last sign of it {case.unnoticed:.1f} s before the incident was opened"
    for told in case.events:
        if told.type == "agent_exited":
            yield f"{line(told.at)}: its process ended, {line(_words(told))}"
        elif told.type in ("agent_incident", "hhmrs_timeout"):
            # Whatever else was kept of what was seen then.
            for name, value in told.fields.items():
                if name not in _KNOWN and value not in (None, "", [], {}):
                    yield f"{line(name)}: {line(str(value), _FIELD)}"
        elif told.type in ("agent_attempt_failed", "hhmrs_recovered") and _words(told):
            yield f"{line(told.at)}: {line(_words(told))}"


def _last_words(case: Case) -> str:
    """What it printed before it ended, each text once, the newest last."""
    ends: dict[str, list[Told]] = {}
    for told in case.events:
        said = told.fields.get("said")
        if told.type == "agent_exited" and isinstance(said, list | tuple):
            ends.setdefault("\n".join(map(str, said)), []).append(told)
    parts = []
    for text, times in list(ends.items())[-_QUOTED:]:
        when = line(times[-1].at) + (f", and {len(times) - 1} x before" if len(times) > 1 else "")
        parts.append(f"\n\nLast words before its end at {when}:\n{fenced(text, _SAYS, newest=True)}")
    return "".join(parts)


def _cause(case: Case) -> str:
    ladder = case.policy.recovery.get(case.cause) if case.policy else None
    steps = "its ladder is not known" if ladder is None else "its ladder: " + ", ".join([*ladder, "escalate"])
    return f"`{cell(case.cause)}`; {steps}."


def _tries(tries: Sequence[Try]) -> str:
    if not tries:
        return "Nothing was tried."
    rows = [
        f"| {t.n} | {cell(t.strategy)} | {t.at:+.1f} s | {_took(t)} | {cell(t.seat)} | {cell(t.outcome)} | "
        f"{cell(t.why, 240)} |"
        for t in tries
    ]
    head = ("| n | strategy | begun | took | on | outcome | why |", "|---:|---|---:|---:|---|---|---|")
    return "\n".join([*head, *rows])


def _took(t: Try) -> str:
    return "-" if t.ended is None else f"{t.ended - t.at:.1f} s"


def _changes(case: Case) -> str:
    if not case.changes.strip() and not case.diff.strip():
        return "No change of the workspace is known from the snapshots of this time."
    parts = [fenced(case.changes, _DIFF // 4)] if case.changes.strip() else []
    return "\n\n".join([*parts, *([fenced(case.diff, _DIFF)] if case.diff.strip() else [])])
