"""What happens, as lines of comms.log: who would have told whom."""

from __future__ import annotations

from collections.abc import Mapping

from ...config.fleet import FleetSpec
from ...healing.agent import AgentState, Happening
from ...healing.hierarchy import is_living
from .comms import CommsLog, comms_for


class Correspondence:
    """Writes down what the agents of one fleet are told. `states`: as the engine has them."""

    def __init__(self, log: CommsLog, fleet: FleetSpec, states: Mapping[str, AgentState]) -> None:
        self._log = log
        self._states = states
        self.go_by(fleet)

    def go_by(self, fleet: FleetSpec) -> None:
        """From now on titles and parents are those of this fleet file."""
        self._titles = {agent.id: agent.title for agent in fleet.agents.values()}
        self._parents = {agent.id: agent.parent for agent in fleet.agents.values()}

    def write(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            for sender, to, kind, text in comms_for(happening, self._titles, self._parents, self._is_living):
                self._log.write(happening.at, sender, to, kind, text)

    def _is_living(self, agent: str) -> bool:
        state = self._states.get(agent)
        return state is not None and is_living(state)
