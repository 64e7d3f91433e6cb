"""What each order would do to an agent right now, in words, and why it cannot be given. Pure.

The daemon decides in the end; this tells a person beforehand what it will most likely say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..config.fleet import AgentSpec, FleetSpec
from ..healing.agent import AgentState, NudgeStep, Phase
from ..healing.nudges import RESCUE, in_words
from ..healing.nudges import steps as steps_of_nudge
from ..healing.obey import refusal
from .document import Agent, Fleet
from .looks import age, clean

RESTARTING = frozenset({"resume", "restart", "reassign"})
FLEET_WIDE = frozenset({"heal"})
_STAYS = frozenset({Phase.PAUSED, Phase.STOPPED, Phase.DONE})
"""Phases that a clear does not end."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to give an order: a label and the letter's `args`."""

    label: str
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be sent and done. `reason` set: it cannot be given now. `verbatim`: text to be typed."""

    order: str
    agent: str | None
    heading: str
    steps: tuple[str, ...]
    verbatim: str = ""
    choices: tuple[Choice, ...] = (Choice(""),)
    reason: str | None = None
    grave: bool = False


def turn(order: str, agent: Agent | None) -> str:
    """The pause key unpauses a paused agent."""
    return "unpause" if order == "pause" and agent is not None and agent.phase is Phase.PAUSED else order


def why_not(
    order: str,
    agent: Agent | None,
    fleet: Fleet,
    state: AgentState | None = None,
    spec: AgentSpec | None = None,
) -> str | None:
    """A plain reason why the order cannot be given now; None when it can. The rule is the daemon's own."""
    if not fleet.up:
        return "no daemon is running: start one with `hhmrs up`"
    if order in FLEET_WIDE:
        return None
    if order == "submit":
        return "this version takes no tasks yet: give it one with t"
    if agent is None:
        return "no agent is selected"
    if order == "send":
        return (
            None
            if agent.pid is not None and agent.phase is not Phase.EXITED
            else "no live process to type to"
        )
    if order == "clear" and agent.phase is not Phase.ESCALATED and not (agent.restarts or agent.reassigns):
        return None if agent.incident else "nothing to clear: no incident, budgets are full"
    return refusal(state, order, spec) if state is not None and spec is not None else None


def attach_why_not(agent: Agent | None) -> str | None:
    """Attaching needs no daemon, only a pane."""
    if agent is None:
        return "no agent is selected"
    return "it has never been started" if agent.attempt == 0 and agent.pid is None else None


def plan(
    order: str,
    agent: Agent | None,
    fleet: Fleet,
    state: AgentState | None,
    spec: FleetSpec | None,
    text: str = "",
) -> Plan:
    """The whole confirmation for one order. `text`: what the person typed, for send and submit."""
    seats = spec.agents.get(agent.id) if spec is not None and agent is not None else None
    title = agent.title if agent is not None and order not in FLEET_WIDE else "the whole fleet"
    return Plan(
        order=order,
        agent=None if agent is None or order in FLEET_WIDE else agent.id,
        heading=f"{_NAMES.get(order, order.capitalize())} {title}",
        steps=_steps(order, agent, state, seats),
        verbatim=_rescue(state, seats) if order == "nudge" else text,
        choices=_choices(order, agent, seats, text),
        reason=why_not(order, agent, fleet, state, seats),
        grave=order in RESTARTING or order == "stop",
    )


_NAMES = {"heal": "Heal", "send": "Type to", "submit": "Queue a task for"}


def _steps(
    order: str, agent: Agent | None, state: AgentState | None, spec: AgentSpec | None
) -> tuple[str, ...]:
    if agent is None or order in FLEET_WIDE:
        return ("every agent is looked at now, and healed where its policy says so",)
    first: tuple[str, ...] = ()
    if agent.phase is Phase.ESCALATED and order in RESTARTING | {"nudge", "start"}:
        first = ("clear its escalation and refill its budgets",)
    if order in RESTARTING:
        return first + _restart_steps(order, agent, state, spec)
    if order == "nudge" and state is not None and spec is not None:
        return first + _nudge_steps(agent, state, spec)
    return first + _plain_steps(order, agent, spec)


def _rescue(state: AgentState | None, spec: AgentSpec | None) -> str:
    """The very text that a nudge types, where it types one."""
    typed = state is None or spec is None or NudgeStep.RESCUE in steps_of_nudge(state, spec)
    return RESCUE if typed else ""


def _nudge_steps(agent: Agent, state: AgentState, spec: AgentSpec) -> tuple[str, ...]:
    pid = f" (pid {agent.pid})" if agent.pid else ""
    last = (f"into its pane{pid} as one paste, then Enter:",) if _rescue(state, spec) else ()
    return (*in_words(state, spec), *last)


def _restart_steps(
    order: str, agent: Agent, state: AgentState | None, spec: AgentSpec | None
) -> tuple[str, ...]:
    grace = age(spec.policy.kill_grace) if spec else "a grace period"
    prove = age(spec.policy.verify_within) if spec else "the verify time"
    tree = (
        f"end pid {agent.pid} and its children: TERM, {grace}, KILL, seen dead"
        if agent.pid
        else "nothing runs now"
    )
    number = f"start attempt {agent.attempt + 1}"
    last = {
        "resume": f"{number} from {_anchor(state)}, on {agent.seat}",
        "restart": f"{number} afresh with a handoff, on {agent.seat}",
        "reassign": f"{number} with a handoff, on {_where(agent, spec)}",
    }[order]
    return (
        "snapshot its workspace; nothing in it is deleted or reset",
        tree,
        last,
        f"recovered only on fresh progress within {prove}; spends no budget",
    )


def _where(agent: Agent, spec: AgentSpec | None) -> str:
    choices = _seats(agent, spec) if spec is not None and len(spec.seats) > 1 else ()
    return choices[0].label if len(choices) == 1 else "the seat chosen below"


def _anchor(state: AgentState | None) -> str:
    """What a resume would go back to."""
    known = []
    if state is not None and state.checkpoint:
        known.append(f"checkpoint {state.checkpoint}")
    if state is not None and state.session:
        known.append(f"session {clean(state.session, 16)}")
    return " and ".join(known) or "its newest checkpoint or session"


def _plain_steps(order: str, agent: Agent, spec: AgentSpec | None) -> tuple[str, ...]:
    pid = f" (pid {agent.pid})" if agent.pid else ""
    number = agent.attempt + 1
    grace = age(spec.policy.kill_grace) if spec else "a grace period"
    told: dict[str, tuple[str, ...]] = {
        "nudge": (f"typed into its pane{pid} as one paste, then Enter:",),
        "escalate": (
            "its healing stops: phase escalated until you clear it",
            "the marker file .ESCALATION_REQUIRED is written and one notification is sent",
            f"its process{pid} is left running",
        ),
        "pause": (
            f"its process{pid} runs on",
            "nobody heals it, and no time-out counts, until you unpause it",
        ),
        "unpause": ("it is watched and healed again", "all its clocks start anew"),
        "stop": (
            "snapshot its workspace",
            f"end its process tree{pid}: TERM, {grace}, KILL",
            "it stays ended until you start it",
        ),
        "start": (
            f"start attempt {number} on {agent.seat}, with what its open task has left so far, if any",
        ),
        "clear": (
            "close its incident and remove the marker file",
            "refill its restart and reassign budgets",
            *(() if agent.pid or agent.phase in _STAYS else (f"start attempt {number}: it is not running",)),
        ),
        "send": _send_steps(agent, pid),
        "submit": ("queued for it; it is handed over when it is free:",),
    }
    return told.get(order, ())


def _send_steps(agent: Agent, pid: str) -> tuple[str, ...]:
    if agent.phase is Phase.WAITING:
        return (f"its screen asks something; this is typed{pid} as the answer, then Enter:",)
    return (f"typed into its pane{pid} as one paste, then Enter:",)


def _choices(order: str, agent: Agent | None, spec: AgentSpec | None, text: str) -> tuple[Choice, ...]:
    if order == "reassign" and agent is not None and spec is not None and len(spec.seats) > 1:
        return _seats(agent, spec)
    if order == "send":
        args = {"text": text}
        if agent is not None and agent.phase is Phase.WAITING:
            args["answer"] = "1"
        return (Choice("", args),)
    return (Choice("", {"text": text}),) if order == "submit" else (Choice(""),)


def _seats(agent: Agent, spec: AgentSpec) -> tuple[Choice, ...]:
    """The next seat of the round first, then the others. Seats that differ only in command or environment
    have one name, by which they are reached in turn."""
    labels = [seat.label for seat in spec.seats]
    here = labels.index(agent.seat) if agent.seat in labels else 0
    first, *rest = [labels[(here + step) % len(labels)] for step in range(1, len(labels))]
    others = [label for label in dict.fromkeys(rest) if label not in (first, agent.seat)]
    return (
        Choice(f"{first}  (next in turn)", {"to": first}),
        *(Choice(label, {"to": label}) for label in others),
    )
