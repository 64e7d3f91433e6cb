"""The events of the system itself (`hhmrs_*`) for the orange bar, and all events as a timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from ..controller.ports import Event
from .document import Fleet, moment
from .localtime import local
from .looks import age, clean
from .tones import Tone

QUIET_AFTER = 30.0
"""Seconds without an intervention after which the bar goes away."""
FADES_AFTER = 25.0
"""Seconds after which it is paler, for what it tells is over."""

ICONS: dict[str, tuple[str, str, str]] = {
    "hhmrs_timeout": ("⏱", "T", "timeout"),
    "hhmrs_nudge": ("☞", ">", "nudge"),
    "hhmrs_resume": ("▶", ">", "resume"),
    "hhmrs_restart": ("↻", "@", "restart"),
    "hhmrs_reassign": ("⇄", "~", "reassign"),
    "hhmrs_escalation": ("↑", "^", "escalation"),
    "hhmrs_recovered": ("✓", "v", "recovered"),
    "hhmrs_failure": ("✗", "x", "failure"),
    "hhmrs_cascade": ("≋", "#", "cascade"),
}


@dataclass(frozen=True, slots=True)
class Dismissal:
    """What the person waved away: events up to `seq`, and these incidents until they fail for good."""

    seq: int = 0
    incidents: frozenset[str] = frozenset()

    def covers(self, event: Event) -> bool:
        if event.seq <= self.seq:
            return True
        return event.type != "hhmrs_failure" and event.incident in self.incidents


@dataclass(frozen=True, slots=True)
class Told:
    """One event as the bar names it; `at` in epoch seconds."""

    seq: int
    icon: str
    who: str
    what: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Intervention:
    """What the bar says: the newest event of each agent; the newest of all first, then failures.

    `count`: events of this burst, a burst being events less than 30 s apart; `incidents`: those of it."""

    told: tuple[Told, ...]
    count: int
    incidents: frozenset[str]

    @property
    def seq(self) -> int:
        return self.told[0].seq

    def seconds(self, now: float) -> float:
        """Age of the newest event."""
        return max(0.0, now - self.told[0].at)

    def text(self, now: float, dot: str = "·", *, brief: bool = False) -> str:
        """`Dir-Code timeout · 3 events · 5s`; without the number where it is one, or there is little room."""
        first = self.told[0]
        events = f"{self.count} events {dot} " if self.count > 1 and not brief else ""
        return f"{first.who} {first.what} {dot} {events}{age(self.seconds(now))}"

    def others(self, now: float, room: int) -> str:
        """The other agents' newest events with their ages, as many as fit into `room` cells."""
        line = ""
        for number, one in enumerate(self.told[1:]):
            word = f"   {one.icon} {one.who} {one.what} {age(now - one.at)}"
            left = len(self.told) - 2 - number
            more = f"   +{left + 1} more"
            more = more if cell_len(line + more) <= room else more.removesuffix(" more")
            if cell_len(line + word) + (len(more) if left else 0) > room:
                return line + more if cell_len(line + more) <= room else line
            line += word
        return line


def intervention(
    events: Sequence[Event], fleet: Fleet, now: float, dismissed: Dismissal, plain: bool = False
) -> Intervention | None:
    """The bar's line, or None while it is quiet. `events` oldest first, `now` epoch seconds.

    It goes back from the newest event to the first gap of 30 s; in quiet times that costs one look."""
    if not events or now - (moment(events[-1].at) or 0.0) > QUIET_AFTER:
        return None
    if events[-1].seq < dismissed.seq:
        dismissed = Dismissal()  # of another ledger: this one began anew
    burst: list[tuple[Event, float]] = []
    after = now
    for event in reversed(events):
        if event.type not in ICONS or dismissed.covers(event):
            continue
        at = moment(event.at) or 0.0
        if after - at > QUIET_AFTER:
            break
        burst.append((event, at))
        after = min(after, at)
    if not burst:
        return None
    newest = {event.agent: (event, at) for event, at in reversed(burst)}
    told = [_told(event, at, fleet, plain) for event, at in newest.values()]
    told.sort(key=lambda one: -one.seq)
    # Beside the newest of all, who needs a person goes before who is being healed.
    told[1:] = sorted(told[1:], key=lambda one: one.what != "failure")
    return Intervention(
        tuple(told), len(burst), frozenset(event.incident for event, _ in burst if event.incident)
    )


def _told(event: Event, at: float, fleet: Fleet, plain: bool) -> Told:
    icon, plain_icon, what = ICONS[event.type]
    return Told(
        seq=event.seq,
        icon=plain_icon if plain else icon,
        who=fleet.title(event.agent) or "fleet",
        what=what,
        reason=clean(event.data.get("reason") or event.data.get("proof") or "", 120),
        at=at,
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    seq: int
    clock: str
    seconds: int | None
    icon: str
    what: str
    why: str
    tone: Tone


_TONES: dict[str, Tone] = {
    "hhmrs_recovered": Tone.GOOD,
    "hhmrs_failure": Tone.BAD,
    "agent_exited": Tone.SICK,
    "agent_attempt_failed": Tone.SICK,
    "agent_incident": Tone.SICK,
    "agent_error_shown": Tone.SICK,
    "agent_letter_refused": Tone.SICK,
    "agent_asked": Tone.ASK,
    "agent_done": Tone.GOOD,
    "task_done": Tone.GOOD,
    "task_failed": Tone.BAD,
    "agent_started": Tone.BUSY,
    "agent_adopted": Tone.BUSY,
}


def timeline(events: Iterable[Event], now: float, plain: bool = False) -> tuple[Moment, ...]:
    """Newest first; `now` epoch seconds. Checkpoints in a row are one line: they would hide all the rest."""
    rows: list[tuple[Event, int]] = []
    for event in events:
        alike = event.type == "checkpoint_stored" and rows and _same_by(rows[-1][0], event)
        if alike:
            rows[-1] = (event, rows[-1][1] + 1)
        else:
            rows.append((event, 1))
    return tuple(_moment(event, now, plain, count) for event, count in reversed(rows))


def _same_by(one: Event, other: Event) -> bool:
    return one.type == other.type and one.data.get("by") == other.data.get("by")


def _moment(event: Event, now: float, plain: bool, count: int = 1) -> Moment:
    at = moment(event.at)
    known = ICONS.get(event.type)
    tone = _TONES.get(event.type) or (Tone.TRON if known else _family_tone(event.type))
    icon = (known[1] if plain else known[0]) if known else ("-" if plain else "·")
    return Moment(
        seq=event.seq,
        clock=clean(event.at[11:19], 8) if at is None else local(at),
        seconds=None if at is None else max(0, int(now - at)),
        icon=icon,
        what=known[2] if known else clean(event.type.replace("_", " "), 40),
        why=tell(event) + (f", the last of {count} in a row" if count > 1 else ""),
        tone=tone,
    )


def _family_tone(kind: str) -> Tone:
    return Tone.HOLD if kind.startswith("operator_") else Tone.QUIET


_NAMED = ("reason", "why", "proof", "question", "summary", "text", "message", "detail", "line")
_SHORT = (
    "strategy",
    "n",
    "cause",
    "symptom",
    "level_from",
    "level_to",
    "decider",
    "decided_by",
    "status",
    "signal",
    "attempt",
    "order",
    "by",
    "task",
    "state",
    "seq",
)


def tell(event: Event) -> str:
    """The event in a few words, from whichever fields it has."""
    data = event.data
    if event.type == "agent_phase":
        return clean(f"{data.get('from', '?')} -> {data.get('to', '?')}", 80)
    if event.type == "hhmrs_reassign":
        old = ":".join(str(data[k]) for k in ("old_profile", "old_model") if data.get(k))
        new = ":".join(str(data[k]) for k in ("new_profile", "new_model") if data.get(k))
        return clean(f"{old} -> {new}  {data.get('reason', '')}", 240)
    if event.type in ICONS:
        cause = str(data.get("cause") or "")
        reason = str(data.get("reason") or data.get("proof") or "")
        return clean(
            "; ".join(part for part in (reason, "" if cause in reason else f"cause {cause}") if part), 240
        )
    facts = [f"{key.replace('_', ' ')} {data[key]}" for key in _SHORT if data.get(key) not in (None, "")]
    words = [str(data[key]) for key in _NAMED if data.get(key)]
    if event.type == "operator_outcome":
        facts.append("done" if data.get("ok") else "refused")
    return clean("; ".join([*words, ", ".join(facts)] if facts else words), 240)
