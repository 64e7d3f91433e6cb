"""What happened to one agent, its events gathered by incident: outcome, attempts, time to recovery. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..controller.ports import Event
from .document import moment
from .interventions import timeline
from .localtime import local, zone_name
from .looks import age, clean
from .prose import Line, Page, broken, timeline_lines
from .tones import Tone

TRIES = {
    "hhmrs_nudge": "nudge",
    "hhmrs_resume": "resume",
    "hhmrs_restart": "restart",
    "hhmrs_reassign": "reassign",
}
OUTCOMES = {"recovered": "recovered", "self": "came back by itself", "cleared": "cleared"}


@dataclass(frozen=True, slots=True)
class Episode:
    """An incident and its events, oldest first; or, with `incident` None, events between two of them.

    `lasted`: seconds from its first event to its recovery, else to its end; None while it is open."""

    incident: str | None
    events: tuple[Event, ...]
    symptom: str = ""
    cause: str = ""
    detail: str = ""
    outcome: str = ""
    tone: Tone = Tone.QUIET
    tries: tuple[tuple[str, int], ...] = ()
    lasted: float | None = None

    @property
    def is_open(self) -> bool:
        return self.incident is not None and self.lasted is None


def episodes(events: Sequence[Event]) -> tuple[Episode, ...]:
    """Newest first, by their newest event. What an incident's events are mixed with stays by itself."""
    groups: dict[str, list[Event]] = {}
    order: list[tuple[str | None, list[Event]]] = []
    for event in events:
        if event.incident is None:
            if not order or order[-1][0] is not None:
                order.append((None, []))
            order[-1][1].append(event)
            continue
        if event.incident not in groups:
            groups[event.incident] = []
            order.append((event.incident, groups[event.incident]))
        groups[event.incident].append(event)
    made = [_episode(name, tuple(group)) for name, group in order]
    return tuple(sorted(made, key=lambda one: -one.events[-1].seq))


def _episode(incident: str | None, events: tuple[Event, ...]) -> Episode:
    if incident is None:
        return Episode(None, events)
    told = {key: _newest(events, key) for key in ("symptom", "cause", "detail")}
    kinds = {event.type: event for event in events}
    began = moment(events[0].at)
    back, closed = kinds.get("hhmrs_recovered"), kinds.get("agent_incident_closed")
    ended = back or closed
    at = moment(ended.at) if ended is not None else None
    given_up = "hhmrs_failure" in kinds
    if closed is not None:
        word = str(closed.data.get("outcome") or "")
        outcome, tone = OUTCOMES.get(word, clean(word, 30) or "closed"), Tone.GOOD
    elif back is not None:
        outcome, tone = "recovered", Tone.GOOD
    elif given_up:
        outcome, tone = "a person is needed", Tone.BAD
    else:
        outcome, tone = "under way", Tone.TRON
    tries = Counter(TRIES[event.type] for event in events if event.type in TRIES)
    return Episode(
        incident, events, told["symptom"], told["cause"], told["detail"], outcome, tone, tuple(tries.items()),
        None if at is None or began is None else max(0.0, at - began),
    )  # fmt: skip


def _newest(events: Sequence[Event], key: str) -> str:
    """What was said last: trouble found on the way may outrank what it began with."""
    said = (str(event.data[key]) for event in reversed(events) if event.data.get(key) not in (None, ""))
    return clean(next((word for word in said if word != "unknown"), ""), 160)


def timeline_page(
    events: Sequence[Event],
    now: float,
    width: int,
    plain: bool = False,
    flipped: frozenset[str] = frozenset(),
) -> Page:
    """Newest first. The newest incident and those that are open stand unfolded, others are one line, unless
    they were `flipped`; each can be chosen by its id."""
    found = episodes(events)
    lines: list[Line] = []
    picks: dict[int, object] = {}
    newest = next((one.incident for one in found if one.incident is not None), None)
    for one in found:
        if one.incident is None:
            lines += timeline_lines(timeline(one.events, now, plain), width)
            continue
        unfolded = (one.is_open or one.incident == newest) != (one.incident in flipped)
        first = len(lines)
        lines += _head(one, now, width, plain, unfolded)
        if unfolded:
            inner = timeline_lines(timeline(one.events, now, plain), width - 2)
            lines += [(("  ", Tone.QUIET), *line) for line in inner]
        picks.update(dict.fromkeys(range(first, len(lines)), one.incident))
    if lines:
        lines.append(((f"times by this machine's clock, {zone_name(now)}", Tone.QUIET),))
    return Page(tuple(lines or timeline_lines((), width)), picks)


def _head(one: Episode, now: float, width: int, plain: bool, unfolded: bool) -> list[Line]:
    opened, closed = ("v", ">") if plain else ("▾", "▸")
    began = moment(one.events[0].at)
    when = "" if began is None else f" {local(began)} {age(now - began):>4}"
    tries = ", ".join(f"{count} {word}" if count > 1 else word for word, count in one.tries)
    ended = f" after {age(one.lasted)}" if one.lasted is not None else ""
    count = sum(count for _, count in one.tries)
    facts = [f"{count} attempt{'s' if count != 1 else ''}: {tries}" if count else "no attempt"]
    if one.cause and one.cause != one.symptom:
        facts.append(f"cause {one.cause}")
    if one.detail:
        facts.append(one.detail)
    head: Line = (
        (f"{opened if unfolded else closed}{when}  ", Tone.QUIET),
        (f"{one.symptom or 'incident'}: ", Tone.TEXT),
        (f"{one.outcome}{ended}", one.tone),
    )
    return [head, *(((" " * 4 + part, Tone.QUIET),) for part in broken("; ".join(facts), width - 4))]
