"""What the daemon would refuse, the screen says before a person confirms it, in the daemon's own words."""

from __future__ import annotations

from itertools import product

import pytest

from hhmrs.healing.agent import AgentState, Phase, Recovery, Stage, Strategy, Task
from hhmrs.healing.evidence import Ordered
from hhmrs.healing.obey import obey
from hhmrs.tests.conftest import MakeSpec
from hhmrs.tui.document import Agent, Fleet
from hhmrs.tui.recoveries import Plan, plan, why_not

NOW = 1_795_260_000.0
ORDERS = ("nudge", "resume", "restart", "reassign", "escalate", "pause", "unpause", "stop", "start", "clear")
STAGES = (None, Stage.BACKOFF, Stage.CLEARING, Stage.STARTING, Stage.VERIFYING)


def states() -> list[AgentState]:
    """Every phase, alive or not, in every stage of a recovery, with and without anything to resume from."""
    made: list[AgentState] = []
    for phase, alive, stage, saved, undead in product(
        Phase, (True, False), STAGES, (True, False), (False, True)
    ):
        recovery = Recovery(Strategy.RESTART, stage, "k", 0) if stage is not None else None
        made.append(
            AgentState(
                "a", phase, NOW, 1, alive=alive, pid=7 if alive else None, recovery=recovery,
                resumable=saved, undead=undead, task=Task("a-1", "go on") if saved else None,
            )
        )  # fmt: skip
    return made


def said_by_the_daemon(order: str, state: AgentState, spec: object, to: str | None) -> str | None:
    args = {"to": to} if to else {}
    change = obey(state, Ordered("a", NOW, order, "l1", "me@here", args), spec)  # type: ignore[arg-type]  # a spec of make_spec
    answers = [h for h in change.happenings if h.type == "operator_outcome" and h.fields["letter"] == "l1"]
    return next((str(h.fields["message"]) for h in answers if not h.fields["ok"]), None)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("alternates", [0, 1])
def test_no_refusal_comes_as_a_surprise(make_spec: MakeSpec, order: str, alternates: int) -> None:
    spec = make_spec("a", alternates=alternates)
    surprises: list[str] = []
    for state in states():
        agent = Agent("a", "A", phase=state.phase, attempt=1, pid=state.pid, incident="i", alive=state.alive)
        fleet = Fleet("f", NOW, True, agents=(agent,))
        made: Plan = plan(order, agent, fleet, state, None)
        foretold = why_not(order, agent, fleet, state, spec)
        to = spec.seats[0].label if order == "reassign" else None
        refused = said_by_the_daemon(order, state, spec, to)
        if foretold != refused:
            surprises.append(f"{state.phase} {state.recovery}: {foretold!r}, but the daemon says {refused!r}")
        assert made.order == order
    assert surprises == []
