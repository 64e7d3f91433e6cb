"""`decide`: a person's answer to an incident. Inside an agent the same words are a letter (letters.py)."""

from __future__ import annotations

from ...config.fleet import STRATEGIES
from ...config.problems import closest
from ...healing.transitions import agent_of
from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .recovery import give
from .refusal import usage


def decide(call: Call, screen: Screen) -> int:
    place, incident, strategy = find_place(call), call.get("incident"), call.get("strategy")
    if strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        near = closest(strategy, STRATEGIES)
        raise usage(f"{PROGRAM}: {inert(strategy, 60)!r} is no strategy{near}; there are {known}")
    _check_known(place, incident)
    agent = agent_of(incident)
    spec = place.spec.agents.get(agent) if place.spec else None
    args = {"incident": incident, "strategy": strategy}
    return give(call, screen, place, "decide", spec, args, agent)


def _check_known(place: Place, incident: str) -> None:
    """Raises Refusal (exit 2) for an incident that was never there."""
    reader = place.reader()
    if reader is not None and reader.incident(incident) is not None:
        return
    known = reader.incident_ids() if reader is not None else []
    near = closest(incident, known) or f"; see `{place.hint('status')}`"
    raise usage(f"{PROGRAM}: no incident {inert(incident, 80)!r} in fleet {place.state.fleet}{inert(near)}")
