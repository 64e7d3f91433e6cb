"""Whose SIGINT it was, as far as what we know goes. A supervisor that typed into panes once ended its own
agents so, and its authors looked for the sender for weeks."""

from __future__ import annotations

from .agent import AgentState, Stage, Strategy

WITHIN = 2.0
"""Seconds before the end in which a person or a key may have done it."""
PRESSED = 10.0
"""Per cent of the time in which somebody waited for memory, from which on the host was short of it."""
CLOCKS = frozenset({"stalled", "looping", "deadline"})
"""Symptoms that a clock of ours has found."""


def interrupter(s: AgentState, at: float, pressure: float | None) -> str:
    """Who may have interrupted the agent that ended at `at`, the likeliest first; in words.

    `pressure`: see evidence.ProcessExited."""
    found: list[str] = []
    if s.attached:
        found.append("a person was attached")
    elif at - s.visited <= WITHIN:
        found.append(f"a person was attached until {max(0.0, at - s.visited):.1f} s before")
    elif at - s.typed_at <= WITHIN:
        found.append(f"keys of ours were typed {max(0.0, at - s.typed_at):.1f} s before")
    if (why := _timer(s)) and not s.attached:
        found.append(why)
    if pressure is not None and pressure >= PRESSED:
        found.append(f"the host was short of memory (somebody waited for it {pressure:.0f} % of the time)")
    if found:
        return ", and ".join(found)
    unknown = "" if pressure is not None else "; whether the host was short of memory is not known"
    return f"no person was attached, and no key or timer of ours was at it{unknown}"


def _timer(s: AgentState) -> str:
    """An act of ours that a clock set off."""
    recovery, incident = s.recovery, s.incident
    if recovery is None or incident is None or incident.symptom not in CLOCKS:
        return ""
    if recovery.stage is Stage.CLEARING:
        return f"a timer of ours had set off its end ({incident.symptom})"
    if recovery.stage is Stage.VERIFYING and recovery.strategy is Strategy.NUDGE:
        return f"a timer of ours had set off a nudge ({incident.symptom})"
    return ""
