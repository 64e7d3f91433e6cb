"""`heal --start-daemon [--interval S] [--threshold S]`: the quick look set by hand, for all agents.

What a person sets so outlives a reload of the fleet file, and is told in the lock file, so that whoever reads
the fleet judges by the same limits as its daemon.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import FleetSpec


@dataclass(frozen=True, slots=True)
class Looks:
    """`threshold`: seconds without progress after which an agent gets the quick look; `interval`: seconds
    between two looks at every agent, whatever is or is not heard of it. None: as the fleet file says, and
    whenever there is a reason."""

    threshold: float | None = None
    interval: float | None = None

    def applied(self, fleet: FleetSpec) -> FleetSpec:
        """The fleet with the threshold in every agent's policy."""
        if self.threshold is None:
            return fleet
        change = {"quick_look": self.threshold}
        agents = {
            name: agent.model_copy(update={"policy": agent.policy.model_copy(update=change)})
            for name, agent in fleet.agents.items()
        }
        return fleet.model_copy(update={"agents": agents, "policy": fleet.policy.model_copy(update=change)})
