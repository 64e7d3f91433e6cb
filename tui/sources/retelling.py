"""What the events of a ledger tell of a fleet, one after another. Pure; what no event tells stays unknown.

An event is written at a transition, so phases, incidents, attempts, tasks and seats are all told. What
moves without one is not: the pane, the ages of evidence, CPU and memory, an agent's own words; nor are the
titles of the fleet file. The message of an agent is here the reason of its newest change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...controller.ports import Event
from ...healing.agent import Phase
from ..document import Agent, Fleet, Trouble, Try, fleet_of, moment
from ..looks import clean

MODE = "replay"
CUT_OFF = "cut off by the next attempt"
LONGEST = 366 * 86_400
"""Seconds: for longer nobody is asked."""


@dataclass(slots=True)
class Told:
    """The fleet after some number of events. Its values are frozen: a copy of the tables is a copy of it."""

    agents: dict[str, Agent] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """The open incident of each agent that has one."""
    cascades: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The shared failures under way, the oldest first."""

    def copy(self) -> Told:
        return Told(dict(self.agents), dict(self.troubles), dict(self.cascades))

    def take(self, event: Event) -> None:
        """Go on by one event. Never raises, whatever stands in it: a ledger may be damaged or foreign."""
        if event.type == "hhmrs_cascade":
            self._cascade(event)
        elif event.agent:
            self._of_agent(event, event.agent)

    def fleet(self, name: str, at: float) -> Fleet:
        """All that is known, as the screen shows it at `at` (epoch seconds)."""
        cascade = next(iter(self.cascades.values()), None)
        whole = {"fleet": name, "daemon": {"mode": MODE}, "cascade": cascade}
        return fleet_of(whole, at, tuple(self.agents.values()), tuple(self.troubles.values()))

    def _cascade(self, event: Event) -> None:
        name = str(event.data.get("cascade"))
        if not event.data.get("over"):
            self.cascades.setdefault(name, event.data)
        elif event.data.get("cascade") is None:
            self.cascades.clear()
        else:
            self.cascades.pop(name, None)

    def _of_agent(self, event: Event, name: str) -> None:
        agent = self.agents.get(name)
        if agent is None:
            agent = Agent(name, clean(name, 64), alive=False)
        if event.parent and event.parent != agent.parent:
            agent = replace(agent, parent=event.parent)
        if event.type.startswith("hhmrs_"):
            agent = _counted(agent, event.data)
        rule = _OF_AGENT.get(event.type)
        if rule is not None:
            agent = replace(agent, **rule(agent, event))
        trouble, mend = self.troubles.get(name), _OF_TROUBLE.get(event.type)
        if mend is not None and (changed := mend(trouble, event)) is not trouble:
            trouble = changed
            if trouble is None:
                self.troubles.pop(name, None)
            else:
                self.troubles[name] = trouble
        incident = trouble.id if trouble is not None else None
        self.agents[name] = agent if agent.incident == incident else replace(agent, incident=incident)


# -- the agent itself: the fields that an event changes -------------------------------------------------
Fields = dict[str, Any]


def _started(agent: Agent, event: Event) -> Fields:
    data = event.data
    fields: Fields = {
        "attempt": _number(data, "attempt"),
        "pid": _pid(data),
        "alive": True,
        "profile": clean(data.get("profile") or agent.profile, 40),
        "model": clean(data.get("model") or "", 60),
    }
    if agent.since is None:  # its first phase is written down nowhere else
        fields |= {"phase": Phase.STARTING, "since": moment(event.at)}
    return fields


def _adopted(agent: Agent, event: Event) -> Fields:
    return {
        "attempt": _number(event.data, "attempt") or agent.attempt,
        "pid": _pid(event.data),
        "alive": True,
    }


def _ended(_: Agent, __: Event) -> Fields:
    return {"alive": False, "pid": None}


def _phase(agent: Agent, event: Event) -> Fields:
    try:
        phase = Phase(str(event.data.get("to")))
    except ValueError:
        phase = Phase.UNKNOWN
    fields: Fields = {
        "phase": phase,
        "since": moment(event.at),
        "message": clean(event.data.get("why") or "", 200),
    }
    if phase not in (Phase.RECOVERING, Phase.STALLED, Phase.LOOPING, Phase.EXITED) and agent.doing:
        fields |= {"doing": "", "until": None}
    return fields


def _attempt(agent: Agent, event: Event) -> Fields:
    data = event.data
    fields: Fields = {"doing": _strategy(event), "until": None}
    if event.type == "hhmrs_reassign":
        fields |= {
            "profile": clean(data.get("new_profile") or agent.profile, 40),
            "model": clean(data.get("new_model") or "", 60),
        }
    return fields


def _asks(_: Agent, event: Event) -> Fields:
    at, within = moment(event.at), event.data.get("within")
    sound = within if isinstance(within, int | float) and 0 <= within <= LONGEST else None
    until = at + sound if at is not None and sound is not None else None
    return {"doing": clean(f"asks {event.data.get('decider')}", 40), "until": until}


def _idle_hands(_: Agent, __: Event) -> Fields:
    return {"doing": "", "until": None}


def _held(_: Agent, event: Event) -> Fields:
    return {"doing": clean(f"held back ({event.data.get('by')})", 40), "until": None}


def _task_failed(_: Agent, event: Event) -> Fields:
    # Who gives up on an agent leaves it its task, for the person who clears it; one that is over took time.
    return {"task": ""} if "seconds" in event.data else {}


_OF_AGENT: dict[str, Callable[[Agent, Event], Fields]] = {
    "agent_started": _started,
    "agent_adopted": _adopted,
    "agent_exited": _ended,
    "agent_stopped_with_fleet": _ended,
    "agent_phase": _phase,
    "agent_asked": lambda _, event: {"message": clean(event.data.get("question") or "", 200)},
    "agent_decider_asked": _asks,
    "agent_decided": _idle_hands,
    "agent_decider_silent": _idle_hands,
    "agent_decision_refused": _idle_hands,
    "agent_held_back": _held,
    "agent_let_go": _idle_hands,
    "agent_attempt_failed": _idle_hands,
    "agent_incident_closed": _idle_hands,
    "agent_budgets_refilled": lambda _, __: {"restarts": 0, "reassigns": 0},
    "hhmrs_nudge": _attempt,
    "hhmrs_resume": _attempt,
    "hhmrs_restart": _attempt,
    "hhmrs_reassign": _attempt,
    "hhmrs_recovered": _idle_hands,
    "hhmrs_failure": _idle_hands,
    "task_opened": lambda _, event: {"task": clean(event.data.get("text") or "", 200)},
    "task_done": lambda _, __: {"task": ""},
    "task_failed": _task_failed,
    "operator_attached": lambda _, __: {"attached": True},
    "operator_detached": lambda _, __: {"attached": False},
}


def _counted(agent: Agent, data: Mapping[str, Any]) -> Agent:
    """Every `hhmrs_*` event says how much of the budgets is spent."""
    restarts, reassigns = _number(data, "restart_count"), _number(data, "failure_count")
    if (restarts, reassigns) == (agent.restarts, agent.reassigns):
        return agent
    return replace(agent, restarts=restarts, reassigns=reassigns)


# -- its incident: what an event makes of the open one, None where none is open then ------------------------
def _opened(trouble: Trouble | None, event: Event) -> Trouble | None:
    """By the same rules as the ledger's own table of incidents."""
    if event.incident is None:
        return trouble
    d = event.data
    cause, detail = (
        clean(d.get("cause") or "unknown", 40),
        clean(d.get("detail") or d.get("reason") or "", 200),
    )
    if trouble is not None and trouble.id == event.incident:
        symptom = trouble.symptom if event.type == "hhmrs_timeout" else _symptom(d)
        return replace(trouble, symptom=symptom, cause=cause, detail=detail)
    return Trouble(
        clean(event.incident, 80), event.agent or "", moment(event.at) or 0.0, _symptom(d), cause, detail
    )


def _found(trouble: Trouble | None, event: Event) -> Trouble | None:
    if trouble is None:
        return None
    cause = clean(event.data.get("cause") or "", 40)
    detail = clean(event.data.get("detail") or "", 200)
    return replace(trouble, cause=cause if cause not in ("", "unknown") else trouble.cause, detail=detail)


def _tried(trouble: Trouble | None, event: Event) -> Trouble | None:
    if trouble is None:
        return None
    n = _number(event.data, "n")
    one = Try(n, _strategy(event), moment(event.at) or 0.0, "pending", "")
    before = tuple(t for t in _settled(trouble.tries, "failure", CUT_OFF) if t.n != n)
    return replace(trouble, tries=(*before, one))


def _failed(trouble: Trouble | None, event: Event) -> Trouble | None:
    if trouble is None:
        return None
    why = clean(event.data.get("why") or event.data.get("reason") or "", 200)
    n, tries = _number(event.data, "n"), _settled(trouble.tries, "failure", why)
    if n and all(t.n != n for t in tries):  # it failed before its process could be started
        tries = (*tries, Try(n, _strategy(event), moment(event.at) or 0.0, "failure", why))
    return replace(trouble, tries=tries)


def _proved(trouble: Trouble | None, event: Event) -> Trouble | None:
    if trouble is None:
        return None
    proof = clean(event.data.get("proof") or "", 200)
    return replace(trouble, tries=_settled(trouble.tries, "success", proof))


def _given_up(trouble: Trouble | None, event: Event) -> Trouble | None:
    if trouble is None:
        return None
    reason = clean(event.data.get("reason") or "", 200)
    return replace(trouble, tries=_settled(trouble.tries, "failure", reason))


_OF_TROUBLE: dict[str, Callable[[Trouble | None, Event], Trouble | None]] = {
    "agent_incident": _opened,
    "hhmrs_timeout": _opened,
    "agent_cause_found": _found,
    "hhmrs_nudge": _tried,
    "hhmrs_resume": _tried,
    "hhmrs_restart": _tried,
    "hhmrs_reassign": _tried,
    "agent_attempt_failed": _failed,
    "hhmrs_recovered": _proved,
    "hhmrs_failure": _given_up,
    "agent_incident_closed": lambda _, __: None,
}


def _settled(tries: tuple[Try, ...], outcome: str, why: str) -> tuple[Try, ...]:
    return tuple(replace(t, outcome=outcome, why=why) if t.outcome == "pending" else t for t in tries)


def _strategy(event: Event) -> str:
    return clean(event.data.get("strategy") or event.type.removeprefix("hhmrs_"), 20)


def _symptom(data: Mapping[str, Any]) -> str:
    return clean(data.get("symptom") or "unknown", 40)


def _number(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _pid(data: Mapping[str, Any]) -> int | None:
    return _number(data, "pid") or None
