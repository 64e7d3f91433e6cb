"""The task an agent is at, and those it had, as lines that fit their width. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..config.fleet import AgentSpec
from ..healing.agent import AgentState
from ..healing.transitions import spent
from .charts import gauge
from .looks import age, clean
from .prose import Line, Page, broken
from .tones import Tone
from .work import PastTask

TONES = {"done": Tone.GOOD, "failed": Tone.BAD, "open": Tone.BUSY, "queued": Tone.QUIET}
WIDEST = 30


def tasks_page(
    past: Sequence[PastTask] | None,
    state: AgentState | None,
    spec: AgentSpec | None,
    now: float,
    width: int,
    plain: bool = False,
) -> Page:
    """The one it is at, with what it has used of its deadline, then all others, newest first.

    `past` None: not read yet. `now`: epoch seconds."""
    lines = list(_present(state, spec, now, width, plain))
    lines.append(())
    here = state.task.id if state is not None and state.task is not None else None
    others = [one for one in past or () if one.id != here]
    if past is None:
        lines.append((("reading its past tasks ...", Tone.QUIET),))
    elif not others:
        lines.append((("no past tasks", Tone.QUIET),))
    for one in others:
        lines += _past(one, now, width)
    return Page(tuple(lines))


def _present(
    state: AgentState | None, spec: AgentSpec | None, now: float, width: int, plain: bool
) -> list[Line]:
    task = state.task if state is not None else None
    if task is None:
        return [(("it has no task now; T queues one", Tone.QUIET),)]
    lines: list[Line] = [((part, Tone.TEXT),) for part in broken(f"now: {clean(task.text, 400)}", width)]
    used = spent(task, now)
    rests = "" if task.ticking_since is not None else "; its clock rests"
    if spec is None:
        return [*lines, ((f"{clean(task.id, 80)}, used {age(used)}{rests}", Tone.QUIET),)]
    limit = spec.policy.task_deadline
    share = used / limit if limit > 0 else 0.0
    tone = Tone.TEXT if share < 0.8 else Tone.LIMIT if share < 1 else Tone.BAD
    drawn = gauge(100 * share, None, max(8, min(WIDEST, width - 30)), plain)
    lines.append((*drawn, (f" {share:.0%} of its deadline", tone)))
    told = f"{clean(task.id, 80)}: {age(used)} used of {age(limit)}{rests}"
    return [*lines, *(((part, Tone.QUIET),) for part in broken(told, width))]


def _past(one: PastTask, now: float, width: int) -> list[Line]:
    when = "-" if one.opened is None else f"{age(now - one.opened)} ago"
    took = "-" if one.seconds is None else age(one.seconds)
    facts = [f"took {took}"]
    if one.tries:
        facts.append(f"{one.tries} recoveries")
    if one.files is not None:
        facts.append(f"{one.files} files")
    head: Line = (
        (f"{clean(one.state, 7):<7} ", TONES.get(one.state, Tone.TEXT)),
        (f"{when:>8}  ", Tone.QUIET),
        (", ".join(facts), Tone.TEXT),
        (f"  {clean(one.id, 60)}", Tone.QUIET),
    )
    lines = [head, *_below(clean(one.text, 300), Tone.TEXT, width)]
    return lines + (_below(clean(one.why, 300), Tone.QUIET, width) if one.why else [])


def _below(text: str, tone: Tone, width: int) -> list[Line]:
    return [((" " * 8 + part, tone),) for part in broken(text, width - 8)] if text else []
