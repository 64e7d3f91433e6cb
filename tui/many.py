"""One order for several agents: whom it touches, whom not and why, and one line of what came of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..config.fleet import AgentSpec, FleetSpec
from ..healing.agent import AgentState, Phase
from .document import Agent, Fleet
from .looks import age, clean
from .recoveries import OPEN_SEAT, RESTARTING, Choice, Plan, plan, why_not

SHOWN = 12
"""Agents that are named in one line; of more there is the number."""
_DONE = {
    "nudge": "each is woken as it needs: dialog closed, status file mended, rescue message typed",
    "resume": "each process tree is ended and goes on from its own checkpoint or session",
    "restart": "each process tree is ended and started afresh with a handoff of its own",
    "reassign": "each process tree is ended and goes on with a handoff on the seat chosen below",
    "escalate": "the healing of each stops: marker file, one notification each; their processes run on",
    "pause": "their processes run on; nobody heals them, and no time-out counts, until you unpause them",
    "unpause": "each is watched and healed again; all its clocks start anew",
    "stop": "each workspace is saved, then its process tree is ended; it stays ended until you start it",
    "start": "each is started, with what its open task has left so far, if any",
    "clear": "each incident is closed and its budgets are refilled; who is not running is started",
    "send": "typed into each pane as one paste, then Enter:",
}


def subtree(fleet: Fleet, root: str) -> tuple[str, ...]:
    """The agent and all below it, in the order of the file."""
    inside = {root}
    below: dict[str | None, list[str]] = {}
    for agent in fleet.agents:
        below.setdefault(agent.parent, []).append(agent.id)
    todo = [root]
    while todo:
        for child in below.get(todo.pop(), ()):
            if child not in inside:
                inside.add(child)
                todo.append(child)
    return tuple(agent.id for agent in fleet.agents if agent.id in inside)


def pause_or_unpause(fleet: Fleet, agents: Iterable[str], head: Agent | None) -> str:
    """What one key means for all of them: as the first of them stands, else as most can be."""
    if head is not None and head.phase is Phase.PAUSED:
        return "unpause"
    phases = [agent.phase for name in agents if (agent := fleet.agent(name)) is not None]
    busy = [phase for phase in phases if phase not in (Phase.PAUSED, *_AT_REST)]
    return "pause" if busy or Phase.PAUSED not in phases else "unpause"


_AT_REST = (Phase.STOPPED, Phase.DONE, Phase.ESCALATED)


def plan_many(
    order: str,
    agents: Sequence[str],
    fleet: Fleet,
    states: Mapping[str, AgentState],
    spec: FleetSpec | None,
    text: str = "",
    whom: str = "marked agents",
) -> Plan:
    """The confirmation of one order for all `agents`. `whom`: how they are called together."""
    touched: list[Agent] = []
    left: list[str] = []
    for name in agents:
        agent = fleet.agent(name)
        why = _why_not(order, agent, fleet, states.get(name), _spec(spec, name))
        if agent is not None and why is None:
            touched.append(agent)
        else:
            left.append(f"{fleet.title(name)}: {why}")
    one = touched[0] if touched else None
    first = plan(order, one, fleet, states.get(one.id), spec, text) if one is not None else None
    return Plan(
        order=order,
        agent=None,
        heading=heading(order, len(touched), len(agents), whom),
        steps=_steps(order, touched, spec),
        verbatim=text if order == "send" else "",
        choices=_choices(order, touched, spec, text),
        reason=None if touched else _none(left),
        grave=first is not None and first.grave,
        agents=tuple(agent.id for agent in touched),
        left=tuple(left),
    )


def heading(order: str, touched: int, asked: int, whom: str) -> str:
    """`Pause 4 of 7 marked agents`"""
    verb = {"send": "Type to"}.get(order, order.capitalize())
    return f"{verb} {touched} of {asked} {whom}" if touched != asked else f"{verb} {asked} {whom}"


def _spec(spec: FleetSpec | None, name: str) -> AgentSpec | None:
    return spec.agents.get(name) if spec is not None else None


def _why_not(
    order: str, agent: Agent | None, fleet: Fleet, state: AgentState | None, spec: AgentSpec | None
) -> str | None:
    if agent is None:
        return "it is no longer in the fleet"
    if order == "send" and (
        agent.phase is Phase.WAITING or (state is not None and state.screen == "waiting")
    ):
        return "its screen asks something, and this would be the answer: answer it by itself with y"
    return why_not(order, agent, fleet, state, spec)


def _steps(order: str, touched: Sequence[Agent], spec: FleetSpec | None) -> tuple[str, ...]:
    if not touched:
        return ()
    named = [clean(agent.title, 40) for agent in touched]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    lines = [f"{len(named)} agent{'s' * (len(named) > 1)}: {', '.join(named[:SHOWN])}{more}"]
    pids = sum(agent.pid is not None for agent in touched)
    if order in RESTARTING or order == "stop":
        graces = [one.policy.kill_grace for a in touched if (one := _spec(spec, a.id)) is not None]
        grace = age(max(graces)) if graces else "their grace"
        lines.append(f"{pids} process trees are ended: TERM, {grace}, KILL; every workspace is saved before")
    lines.append(_DONE.get(order, order))
    return tuple(lines)


def _choices(order: str, touched: Sequence[Agent], spec: FleetSpec | None, text: str) -> tuple[Choice, ...]:
    if order == "send":
        return (Choice("", {"text": text}),)
    if order != "reassign" or not touched:
        return (Choice(""),)
    seats = [_spec(spec, agent.id) for agent in touched]
    in_turn = all(one is not None and len(one.seats) > 1 for one in seats)
    shared = [set(one.profiles) | {s.profile.name for s in one.seats} for one in seats if one is not None]
    names = sorted(set.intersection(*shared)) if shared else []
    first = (Choice("each the next of its own alternates"),) if in_turn else ()
    return (*first, *(Choice(f"all on {name}", {"to": name}) for name in names), OPEN_SEAT)


def _none(left: Sequence[str]) -> str:
    reasons = Counter(line.partition(": ")[2] for line in left)
    if not reasons:
        return "there is nobody to give it to"
    told = "; ".join(f"{number}: {why}" for why, number in reasons.most_common(3))
    return f"none of them can take it now ({told})"


def summary(order: str, results: Sequence[tuple[str, bool | None, str]]) -> str:
    """One line for all: `restart: 4 done, 1 failed (tester-01: why)`. `results`: who, ok (None: no
    answer in time), the daemon's words."""
    done = sum(ok is True for _, ok, _ in results)
    failed = [f"{who}: {said}" for who, ok, said in results if ok is False]
    silent = [who for who, ok, _ in results if ok is None]
    parts = [f"{done} done"]
    if failed:
        parts.append(f"{len(failed)} failed ({clean('; '.join(failed), 200)})")
    if silent:
        parts.append(f"{len(silent)} not answered yet ({clean(', '.join(silent), 100)})")
    return f"{order}: " + ", ".join(parts)
