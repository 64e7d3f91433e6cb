"""What each order would do to an agent right now, in words, and why it cannot be given. Pure.

The daemon decides in the end; this tells a person beforehand what it will most likely say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..config.fleet import AgentSpec, FleetSpec
from ..config.profiles import BUILTIN
from ..healing.agent import AgentState, NudgeStep, Phase
from ..healing.nudges import RESCUE, in_words
from ..healing.nudges import steps as steps_of_nudge
from ..healing.obey import refusal
from ..healing.seats import target
from .document import Agent, Fleet
from .looks import age, clean

RESTARTING = frozenset({"resume", "restart", "reassign"})
FLEET_WIDE = frozenset({"heal"})
_STAYS = frozenset({Phase.PAUSED, Phase.STOPPED, Phase.DONE})
"""Phases that a clear does not end."""


HANDED = RESTARTING | {"start"}
"""Orders whose new attempt a person may say something to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to give an order: a label and the letter's `args`. `open`: a person types the seat first."""

    label: str
    args: Mapping[str, str] = field(default_factory=dict)
    open: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be sent and done. `reason` set: it cannot be given now. `verbatim`: text to be typed.
    `agents`: to whom it goes, where that is more than one, and `left` who is left alone, with the reason."""

    order: str
    agent: str | None
    heading: str
    steps: tuple[str, ...]
    verbatim: str = ""
    choices: tuple[Choice, ...] = (Choice(""),)
    reason: str | None = None
    grave: bool = False
    agents: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def takes_note(self) -> bool:
        """A person may add words of their own to the handoff."""
        return self.reason is None and self.order in HANDED

    @property
    def takes_edit(self) -> bool:
        """The handoff is one agent's, so that it may be changed."""
        return self.takes_note and not self.agents


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
    if fleet.frozen:
        return f"the daemon is stopped and would not read it: let it go on with `kill -CONT {fleet.frozen}`"
    if order in FLEET_WIDE:
        return None
    if order == "submit":
        return "this version takes no tasks yet: give it one with t"
    if agent is None:
        return "no agent is selected"
    if agent.orphan:
        return "it is no longer in the fleet file: it is watched, and no order reaches it"
    if order == "send":
        alive = agent.pid is not None and agent.phase is not Phase.EXITED and (state is None or state.alive)
        return None if alive else f"no live process to type to: it is {agent.phase.value}"
    spent = agent.restarts or agent.reassigns or agent.incident
    if order == "clear" and agent.phase is not Phase.ESCALATED and not spent:
        return "nothing to clear: no incident, budgets are full"
    if state is None or spec is None:
        return None
    # Without alternates there is still any other profile to choose.
    return refusal(state, order, spec, spec.seats[0].label if order == "reassign" else None)


def seat_why_not(to: str, state: AgentState | None, spec: AgentSpec | None) -> str | None:
    """Why an agent cannot be reassigned to PROFILE[:MODEL]."""
    if not to.strip():
        return "name a profile, and after a colon a model if you like"
    if state is None or spec is None:
        return None
    return refusal(state, "reassign", spec, to.strip())


def answer_why_not(agent: Agent | None, fleet: Fleet, state: AgentState | None) -> str | None:
    """Why there is nothing to answer."""
    if agent is None:
        return "no agent is selected"
    if agent.phase is not Phase.WAITING and not (state and state.alive and state.screen == "waiting"):
        return f"it asks nothing: it is {agent.phase.value}"
    return why_not("send", agent, fleet, state)


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
    title = agent.title if agent is not None else "an agent"
    if order in FLEET_WIDE:
        title = "the whole fleet"
    return Plan(
        order=order,
        agent=None if agent is None or order in FLEET_WIDE else agent.id,
        heading=f"{_NAMES.get(order, order.capitalize())} {title}",
        steps=_steps(order, agent, state, seats),
        verbatim=_rescue(state, seats) if order == "nudge" else text,
        choices=_choices(order, agent, state, seats, text),
        reason=why_not(order, agent, fleet, state, seats),
        grave=order in RESTARTING or order == "stop",
    )


_NAMES = {"heal": "Heal", "send": "Type to", "submit": "Queue a task for"}


def _steps(
    order: str, agent: Agent | None, state: AgentState | None, spec: AgentSpec | None
) -> tuple[str, ...]:
    if order in FLEET_WIDE:
        return ("every agent is looked at now, and healed where its policy says so",)
    if agent is None:
        return ()
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
        "reassign": f"{number} with a handoff, on {_where(spec)}",
    }[order]
    return (
        "snapshot its workspace; nothing in it is deleted or reset",
        tree,
        last,
        f"recovered only on fresh progress within {prove}; spends no budget",
    )


def _where(spec: AgentSpec | None) -> str:
    return "the seat chosen below" if spec is not None else "its next seat"


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


def _choices(
    order: str, agent: Agent | None, state: AgentState | None, spec: AgentSpec | None, text: str
) -> tuple[Choice, ...]:
    if order == "reassign" and agent is not None and spec is not None:
        return (*_seats(agent, spec), *_other_profiles(state, spec), OPEN_SEAT)
    if order == "send":
        args = {"text": text}
        if agent is not None and agent.phase is Phase.WAITING:
            args["answer"] = "1"
        return (Choice("", args),)
    return (Choice("", {"text": text}),) if order == "submit" else (Choice(""),)


OPEN_SEAT = Choice("another PROFILE[:MODEL], to be typed", open=True)


def _other_profiles(state: AgentState | None, spec: AgentSpec) -> tuple[Choice, ...]:
    """Profiles that are none of its seats and could be one."""
    own = {seat.profile.name for seat in spec.seats}
    others = [name for name in spec.profiles if name not in own]
    names = sorted(others, key=lambda name: name in BUILTIN)  # the file's own first
    fitting = [name for name in names if state is None or _fits(state, spec, name)]
    return tuple(Choice(f"{name}  (not among its alternates)", {"to": name}) for name in fitting)


def _fits(state: AgentState, spec: AgentSpec, to: str) -> bool:
    """Whether `to` leads to a seat that has a command."""
    return not isinstance(target(state, spec, to), str)


def _seats(agent: Agent, spec: AgentSpec) -> tuple[Choice, ...]:
    """The next seat of the round first, then the others. Seats that differ only in command or environment
    have one name, by which they are reached in turn."""
    if len(spec.seats) == 1:
        only = spec.seats[0].label
        return () if agent.seat == only else (Choice(f"{only}  (its own seat)", {"to": only}),)
    labels = [seat.label for seat in spec.seats]
    here = labels.index(agent.seat) if agent.seat in labels else 0
    first, *rest = [labels[(here + step) % len(labels)] for step in range(1, len(labels))]
    others = [label for label in dict.fromkeys(rest) if label not in (first, agent.seat)]
    return (
        Choice(f"{first}  (next in turn)", {"to": first}),
        *(Choice(label, {"to": label}) for label in others),
    )
